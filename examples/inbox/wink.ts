/**
 * The two ways this example reads English with wink-nlp: as tokens, which is
 * fast enough for thousands of mails, and as sentences with parts of speech and
 * named entities, which is what notes are taken from.
 */
import model from 'wink-eng-lite-web-model';
import winkNLP from 'wink-nlp';

const tokenizer = winkNLP(model, []);
const reader = winkNLP(model, ['sbd', 'ner', 'pos']);
const { its } = reader;

export interface Token {
  /** As written. */
  readonly value: string;
  /** Lower case, spelling made uniform. */
  readonly normal: string;
  /** `word`, `number`, `punctuation`, `url`, `email`, `currency` and some more. */
  readonly type: string;
}

export interface ReadToken extends Token {
  /** Universal part of speech: `NOUN`, `PROPN`, `VERB` and so on. */
  readonly pos: string;
  /** Says nothing about the subject of a text: "the", "would". */
  readonly stop: boolean;
}

export interface Sentence {
  readonly text: string;
  readonly tokens: readonly ReadToken[];
}

export interface Reading {
  readonly sentences: readonly Sentence[];
  /** Named entities in order: type `DATE`, `TIME`, `DURATION`, `MONEY` and some more. */
  readonly entities: readonly { readonly value: string; readonly type: string }[];
}

/** Words and marks in order; about a million a second. */
export function tokenize(text: string): Token[] {
  const tokens = tokenizer.readDoc(text).tokens();
  const normals = tokens.out(its.normal);
  const types = tokens.out(its.type);
  return tokens.out().map((value, index) => ({ value, normal: normals[index]!, type: types[index]! }));
}

/** Sentences and entities in order; a few times slower than `tokenize`. */
export function read(text: string): Reading {
  const doc = reader.readDoc(text);
  const tokens = doc.tokens();
  const [normals, types, parts, stops] = [tokens.out(its.normal), tokens.out(its.type), tokens.out(its.pos), tokens.out(its.stopWordFlag)];
  const all = tokens.out().map((value, index): ReadToken => ({
    value,
    normal: normals[index]!,
    type: types[index]!,
    pos: parts[index]!,
    stop: stops[index] === true,
  }));
  const texts = doc.sentences().out();
  const spans = doc.sentences().out(its.span) as unknown as [first: number, last: number][];
  return {
    sentences: spans.map(([first, last], index) => ({ text: texts[index]!, tokens: all.slice(first, last + 1) })),
    entities: doc.entities().out(its.detail) as unknown as Reading['entities'],
  };
}
