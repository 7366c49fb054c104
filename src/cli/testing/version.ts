/** Version of Drover that this command is. */
import { createRequire } from 'node:module';

export function droverVersion(): string {
  return (createRequire(import.meta.url)('drover/package.json') as { version: string }).version;
}
