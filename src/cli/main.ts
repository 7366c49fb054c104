#!/usr/bin/env node
/** Main: the bin of the package. Imports nothing that an old Node cannot parse, so that it can say so. */

const OLDEST_NODE = 24;

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  process.stderr.write(
    `drover: DROVER_NODE_TOO_OLD: expected Node ${OLDEST_NODE} or newer, this is ${process.version}; install a newer one\n`,
  );
  process.exitCode = 2;
} else {
  void import('./program.ts').then(({ main }) => main(process.argv.slice(2)));
}
