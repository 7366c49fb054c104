/**
 * The write-ahead log as bytes: is what stands in it what SQLite has written?
 *
 * SQLite checks the sums of its log only when it opens one. While it is open, and when it is written back into
 * the database at the end, the frames are believed: a log that somebody has overwritten would ruin the database.
 *
 *     header  magic · version · page size · number · salt 1, 2 · sum 1, 2             32 bytes
 *     frame   page · size at commit · salt 1, 2 · sum 1, 2                            24 bytes, and the page
 *
 * A sum covers the frame and, through the sum before it, all before. So a look may begin anywhere.
 * @see https://sqlite.org/fileformat2.html#the_write_ahead_log
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;
/** Frames that are read at once. */
const CHUNK_FRAMES = 64;

/** Some frames of a log, counted from 0. */
export interface FrameRange {
  readonly from: number;
  readonly count: number;
}

/**
 * What is wrong with these frames of a log, in words; undefined when they are as they were written. The caller
 * knows from SQLite that they are there.
 */
export function faultOfLog(log: string, { from, count }: FrameRange): string | undefined {
  // SQLite holds no lock on the log itself, so closing this descriptor lets none go.
  const descriptor = openSync(log, 'r');
  try {
    return count === 0 ? undefined : faultOf(descriptor, from, count);
  } finally {
    closeSync(descriptor);
  }
}

function faultOf(descriptor: number, from: number, count: number): string | undefined {
  const header = read(descriptor, 0, HEADER_BYTES);
  if (header === undefined) return SHORTER;
  if ((header.readUInt32BE(0) & ~1) >>> 0 !== MAGIC) return OVERWRITTEN;
  // Sums are made in the byte order of whoever began the log. One of another machine is not looked at.
  if (((header.readUInt32BE(0) & 1) === 1) !== (endianness() === 'BE')) return undefined;
  if (!isSum(sumOf(words(header, 0, 24), 0, 0), header, 24)) return OVERWRITTEN;
  const pageBytes = header.readUInt32BE(8);
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  let sum: Sum;
  if (from === 0) {
    sum = [header.readInt32BE(24), header.readInt32BE(28)];
  } else {
    const before = read(descriptor, HEADER_BYTES + (from - 1) * frameBytes, FRAME_HEADER_BYTES);
    if (before === undefined) return SHORTER;
    sum = [before.readInt32BE(16), before.readInt32BE(20)];
  }
  for (let at = from; at < from + count; at += CHUNK_FRAMES) {
    const frames = Math.min(CHUNK_FRAMES, from + count - at);
    const chunk = read(descriptor, HEADER_BYTES + at * frameBytes, frames * frameBytes);
    if (chunk === undefined) return SHORTER;
    for (let start = 0; start < chunk.length; start += frameBytes) {
      if (chunk.compare(header, 16, 24, start + 8, start + 16) !== 0) return OVERWRITTEN;
      sum = sumOf(words(chunk, start, 8), ...sum);
      sum = sumOf(words(chunk, start + FRAME_HEADER_BYTES, pageBytes), ...sum);
      if (!isSum(sum, chunk, start + 16)) return OVERWRITTEN;
    }
  }
  return undefined;
}

const SHORTER = 'its log is shorter than what was written to it';
const OVERWRITTEN = 'its log has been overwritten';

type Sum = readonly [number, number];

function sumOf(of: Int32Array, first: number, second: number): Sum {
  let a = first;
  let b = second;
  for (let at = 0; at < of.length; at += 2) {
    a = (a + of[at]! + b) | 0;
    b = (b + of[at + 1]! + a) | 0;
  }
  return [a, b];
}

function isSum(sum: Sum, bytes: Buffer, at: number): boolean {
  return bytes.readInt32BE(at) === sum[0] && bytes.readInt32BE(at + 4) === sum[1];
}

/** All offsets in a log are multiples of 8, and these buffers begin at their own memory. */
function words(bytes: Buffer, from: number, length: number): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset + from, length / 4);
}

/** Undefined: there are fewer bytes. */
function read(descriptor: number, from: number, length: number): Buffer | undefined {
  const bytes = Buffer.from(new ArrayBuffer(length));
  return readSync(descriptor, bytes, 0, length, from) === length ? bytes : undefined;
}
