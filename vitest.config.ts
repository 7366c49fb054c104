import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Node strips types and compiles anew in every process that a test starts, which costs more than most of those tests: they
// share what one of them has compiled. It is keyed by content and by version of Node.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('node_modules/.cache/drover-tests', import.meta.url));

/** Pure rooms: their tests change nothing that another file could see, so files of theirs share a process and its modules. */
const PURE = ['actors', 'admission', 'host', 'kernel', 'supervision', 'topology', 'work'].map((room) => `test/${room}/**/*.test.ts`);

export default defineConfig({
  ssr: { resolve: { conditions: ['drover-source'] } },
  resolve: { conditions: ['drover-source'] },
  test: {
    testTimeout: 20_000,
    maxWorkers: '100%',
    typecheck: { enabled: false },
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: PURE } },
    ],
  },
});
