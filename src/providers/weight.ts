/**
 * Weight: how large the input of a request is, before a provider has counted it.
 *
 * Texts count by their characters, wherever they stand: messages, system prompts, arguments and results
 * of tools, the tools' own descriptions. What is no text has a flat guess: 1,600 tokens an image, 6,000 a
 * document, an audio clip or another file, whatever their size.
 */
const IMAGE_TOKENS = 1_600;
const FILE_TOKENS = 6_000;
const UNREAD_TOKENS = 1_000;

const IMAGES = new Set(['image', 'image_url', 'input_image']);
const FILES = new Set(['file', 'input_file', 'document', 'audio', 'input_audio', 'video', 'container_upload']);
/** Words of the format, not of the prompt. */
const WORDLESS = new Set([
  'type',
  'role',
  'id',
  'tool_call_id',
  'tool_use_id',
  'toolCallId',
  'call_id',
  'cache_control',
  'signature',
  'providerOptions',
  'encrypted_content',
]);
/** What is deeper than this is not looked at: nobody's prompt is. */
const DEEPEST = 32;

/** Characters of text, and tokens of the rest. */
export interface Weight {
  readonly characters: number;
  readonly flatTokens: number;
}

export function weightOf(...inputs: readonly unknown[]): Weight {
  const weight = { characters: 0, flatTokens: 0 };
  for (const input of inputs) weigh(input, weight, 0);
  return weight;
}

/** Of what nobody can read here, of so many characters or bytes: a token for four of them, and 1,000 for what it may stand for. */
export function unreadWeight(size: number): Weight {
  return { characters: size, flatTokens: UNREAD_TOKENS };
}

function weigh(value: unknown, weight: { characters: number; flatTokens: number }, depth: number): void {
  if (typeof value === 'string') weight.characters += value.length;
  else if (typeof value === 'number' || typeof value === 'boolean') weight.characters += String(value).length;
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return;
  if (Array.isArray(value)) {
    for (const item of value) weigh(item, weight, depth + 1);
    return;
  }
  // Pictures as bytes, in whatever wrapping.
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof URL) return;
  const { type } = value as { readonly type?: unknown };
  const flat = flatTokensOf(type, value);
  if (flat > 0) {
    weight.flatTokens += flat;
    return;
  }
  for (const [name, inner] of Object.entries(value)) if (!WORDLESS.has(name)) weigh(inner, weight, depth + 1);
}

function flatTokensOf(type: unknown, part: object): number {
  if (typeof type !== 'string') return 0;
  if (IMAGES.has(type)) return IMAGE_TOKENS;
  if (!FILES.has(type)) return 0;
  const { mediaType, source } = part as { readonly mediaType?: unknown; readonly source?: { readonly type?: unknown } };
  // A document of Anthropic's may be plain text.
  if (source?.type === 'text' || source?.type === 'content') return 0;
  return typeof mediaType === 'string' && mediaType.startsWith('image/') ? IMAGE_TOKENS : FILE_TOKENS;
}
