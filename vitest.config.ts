import { defineConfig } from 'vitest/config';

export default defineConfig({
  ssr: { resolve: { conditions: ['drover-source'] } },
  resolve: { conditions: ['drover-source'] },
  test: { include: ['test/**/*.test.ts'], testTimeout: 20_000, maxWorkers: '100%', typecheck: { enabled: false } },
});
