// Checks evidence files of a Letterlock record (letterlock/evidence/v1), with no part of
// Letterlock. Runs in a browser and in Node. Kinds: receipt, member, grants. See ../README.md.
//
//   const found = await verify(evidence, policy);   // two Uint8Array
//
// returns { kind, says, details, limits, seen } or throws: Untrue if the evidence does not hold,
// Malformed if it, or the policy, cannot be read and nothing was judged.
//
// Written from C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof and tlog-policy,
// RFC 6962, RFC 8785, RFC 9381, and docs/spec/. Curve arithmetic and ML-DSA-44 are noble's.

import { ed25519 } from '@noble/curves/ed25519.js';
import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';

export class Malformed extends Error {}
export class Untrue extends Error {}

const MAX_FILE = 16 * 2 ** 20;
const MAX_EVENT = 2 ** 20;
const MAX_ENTRY = 65_535;
const MAX_NOTE = 1_000_000;
const MAX_SIGNATURES = 100;
const MAX_EXTRA = 65_536;
const MAX_LISTED = 50;
const MAX_TEXT = 255; // bytes of a key's name or an origin: a cosignature counts them in one byte
const MAX_NUMBER = 2n ** 63n - 1n;
const AHEAD = 300n; // seconds by which another clock may be ahead of ours

function need(holds, message, Kind = Malformed) {
  if (!holds) throw new Kind(message);
}

// ── bytes ────────────────────────────────────────────────────────────────────────────────────

const utf8 = (text) => new TextEncoder().encode(text);

function text(bytes, what) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Malformed(`${what}: not UTF-8`);
  }
}

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The order of two byte strings: negative, 0 or positive. */
function compare(a, b) {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

const equal = (a, b) => compare(a, b) === 0;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export function fromHex(digits, what = 'hex') {
  const whole = typeof digits === 'string' && /^(?:[0-9a-f]{2})*$/.test(digits);
  need(whole, `${what}: not lower-case hexadecimal`);
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Base64 (RFC 4648 §4) in its one spelling. */
function fromBase64(letters, what) {
  let raw = '';
  try {
    raw = atob(letters);
  } catch {
    throw new Malformed(`${what}: not base64`);
  }
  need(btoa(raw) === letters, `${what}: not base64 as it is written here`);
  return Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
}

function bigEndian(number, size) {
  const bytes = new Uint8Array(size);
  let rest = BigInt(number);
  for (let i = size - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
}

const fromBigEndian = (bytes) => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
const fromLittleEndian = (bytes) => fromBigEndian(bytes.slice().reverse());

async function hash(name, ...parts) {
  return new Uint8Array(await crypto.subtle.digest(name, concat(...parts)));
}

const sha256 = (...parts) => hash('SHA-256', ...parts);
const sha512 = (...parts) => hash('SHA-512', ...parts);

// ── JSON ─────────────────────────────────────────────────────────────────────────────────────

const MAX_DEPTH = 32;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?[0-9][0-9.eE+-]*/y;
const WHOLE = /^(?:0|-?[1-9][0-9]*)$/;
const MAX_VALUES = 2 ** 18; // counted as commas and opening brackets
const PLAIN = /[^"\\\u0000-\u001f]*/y; // apart from escapes: one pattern of both runs out of stack
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const WORDS = { true: true, false: false, null: null };

/** Read JSON without duplicate keys, fractions or half characters. Objects become Maps. */
export function parseJSON(source, what) {
  let at = 0;
  const fail = (why) => {
    throw new Malformed(`${what}: ${why} at character ${at}`);
  };
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found) at = pattern.lastIndex;
    return found?.[0];
  };
  const sign = (wanted) => {
    match(SPACE);
    if (source[at] !== wanted) return false;
    at += 1;
    return true;
  };
  const string = () => {
    const start = at;
    if (!sign('"')) fail('not JSON');
    do match(PLAIN);
    while (match(ESCAPE) !== undefined);
    if (source[at] !== '"') fail('not JSON');
    at += 1;
    const value = JSON.parse(source.slice(start, at));
    return value.isWellFormed() ? value : fail('half a surrogate pair');
  };
  const value = (depth) => {
    match(SPACE);
    if (source[at] === '"') return string();
    const inside = source[at] === '[' || source[at] === '{';
    if (inside && depth === MAX_DEPTH) fail(`nested more than ${MAX_DEPTH} deep`);
    if (sign('[')) {
      const list = [];
      if (sign(']')) return list;
      do list.push(value(depth + 1));
      while (sign(','));
      return sign(']') ? list : fail('not JSON');
    }
    if (sign('{')) {
      const found = new Map();
      if (sign('}')) return found;
      do {
        match(SPACE);
        const key = string();
        if (found.has(key)) fail(`the key ${JSON.stringify(key)} stands twice`);
        if (!sign(':')) fail('not JSON');
        found.set(key, value(depth + 1));
      } while (sign(','));
      return sign('}') ? found : fail('not JSON');
    }
    for (const [word, meaning] of Object.entries(WORDS)) {
      if (source.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    const digits = match(NUMBER) ?? fail('not JSON');
    const number = Number(digits);
    return WHOLE.test(digits) && Number.isSafeInteger(number) ? number : fail('not a whole number');
  };
  let values = 0;
  for (let i = 0; i < source.length; i++) if (',[{'.includes(source[i])) values += 1;
  if (values > MAX_VALUES) fail(`more than ${MAX_VALUES} values`);
  const found = value(0);
  match(SPACE);
  if (at !== source.length) fail('text after the JSON value');
  return found;
}

/** RFC 8785: keys in the order of their UTF-16 code units, no space. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!(value instanceof Map)) return JSON.stringify(value);
  const keys = [...value.keys()].sort((a, b) => (a < b ? -1 : 1));
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value.get(key))}`).join(',')}}`;
}

function parseCanonical(source, what) {
  const value = parseJSON(source, what);
  need(canonical(value) === source, `${what}: not canonical JSON`);
  return value;
}

const TYPES = {
  text: (value) => typeof value === 'string',
  'text or null': (value) => typeof value === 'string' || value === null,
  'whole number from 0': (value) => Number.isSafeInteger(value) && value >= 0,
  flag: (value) => typeof value === 'boolean',
  'whole number': Number.isSafeInteger,
  list: Array.isArray,
  object: (value) => value instanceof Map,
};

/** Take the keys of `shape`, each of its type; `open`: others may stand beside them. */
function take(value, shape, what, { open = false } = {}) {
  need(value instanceof Map, `${what}: not an object`);
  for (const key of value.keys()) {
    need(open || Object.hasOwn(shape, key), `${what}: unknown key ${said(key)}`);
  }
  const found = {};
  for (const [key, type] of Object.entries(shape)) {
    need(value.has(key), `${what}: ${key} is missing`);
    found[key] = value.get(key);
    need(TYPES[type](found[key]), `${what}: ${key} is not a ${type}`);
  }
  return found;
}

function sizedHex(digits, size, what) {
  const bytes = fromHex(digits, what);
  need(bytes.length === size, `${what}: ${bytes.length} bytes, not ${size}`);
  return bytes;
}

// ── the curve ────────────────────────────────────────────────────────────────────────────────

const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;

/** RFC 8032 §5.1.3, one encoding a point; null if it is none. */
function decodePoint(bytes) {
  try {
    const point = Point.fromBytes(bytes, false);
    return equal(point.toBytes(), bytes) ? point : null;
  } catch {
    return null;
  }
}

/** A point of the subgroup of prime order other than the identity; null if it is none. */
function validPoint(bytes) {
  const point = bytes.length === 32 ? decodePoint(bytes) : null;
  return point !== null && !point.is0() && point.isTorsionFree() ? point : null;
}

/** RFC 8032 §5.1.7 without cofactor: the equation that Go and OpenSSL check. */
async function checkEd25519(key, message, signature) {
  const s = fromLittleEndian(signature.slice(32));
  if (signature.length !== 64 || s >= ORDER) return false;
  const r = signature.slice(0, 32);
  const k = fromLittleEndian(await sha512(r, key, message)) % ORDER;
  const point = validPoint(key);
  if (point === null) return false;
  return equal(Point.BASE.multiplyUnsafe(s).subtract(point.multiplyUnsafe(k)).toBytes(), r);
}

const SUITE = 0x03; // ECVRF-EDWARDS25519-SHA512-TAI
const PROOF_SIZE = 80;

/** Return the 64 bytes that `proof` shows for `alpha` (RFC 9381 §5.3). Throws Untrue. */
export async function verifyVRF(key, alpha, proof) {
  const y = validPoint(key);
  need(y !== null, 'the VRF key is not a valid key', Untrue);
  need(proof.length === PROOF_SIZE, `a VRF proof has ${PROOF_SIZE} bytes`, Untrue);
  const gamma = validPoint(proof.slice(0, 32));
  need(gamma !== null, 'the VRF proof holds no valid point', Untrue);
  const c = fromLittleEndian(proof.slice(32, 48));
  const s = fromLittleEndian(proof.slice(48));
  need(s < ORDER, 'the VRF proof holds a number that is not below the group order', Untrue);
  const h = await encodeToCurve(key, alpha);
  const u = Point.BASE.multiplyUnsafe(s).subtract(y.multiplyUnsafe(c));
  const v = h.multiplyUnsafe(s).subtract(gamma.multiplyUnsafe(c));
  const points = [y, h, gamma, u, v].map((point) => point.toBytes());
  const challenge = await vrfHash(0x02, ...points);
  need(
    equal(challenge.slice(0, 16), proof.slice(32, 48)),
    'the VRF proof does not verify for this account',
    Untrue,
  );
  return vrfHash(0x03, gamma.clearCofactor().toBytes());
}

/** Try and increment, RFC 9381 §5.4.1.1. */
async function encodeToCurve(salt, alpha) {
  for (let counter = 0; counter < 256; counter++) {
    const candidate = await vrfHash(0x01, salt, alpha, Uint8Array.of(counter));
    const point = decodePoint(candidate.slice(0, 32))?.clearCofactor();
    if (point && !point.is0()) return point;
  }
  throw new Untrue('no point of the curve belongs to this account');
}

const vrfHash = (domain, ...parts) =>
  sha512(Uint8Array.of(SUITE, domain), ...parts, Uint8Array.of(0));

// ── trees ────────────────────────────────────────────────────────────────────────────────────

const HASH_SIZE = 32;
const leafHash = (entry) => sha256(Uint8Array.of(0), entry);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

/** RFC 9162 §2.1.3.2: does `path`, leaf to root, put `leaf` at `index` of `size`? BigInts. */
async function included(root, leaf, index, size, path) {
  if (index >= size) return false;
  let [place, last, node] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (last === 0n) return false;
    if (place & 1n || place === last) {
      node = await nodeHash(sibling, node);
      while (!(place & 1n) && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      node = await nodeHash(node, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n && equal(node, root);
}

// ── signed notes ─────────────────────────────────────────────────────────────────────────────

const ED25519 = 1;
const COSIGNATURE = 4;
const MLDSA44 = 6;
const PUBLIC_SIZE = { [ED25519]: 32, [COSIGNATURE]: 32, [MLDSA44]: 1312 };
const MLDSA44_SIGNATURE = 2420;
const SUBTREE = utf8('subtree/v1\n\0');

function checkName(name) {
  const odd = /[\p{White_Space}+\u0000-\u001f]/u.test(name);
  need(name && !odd && utf8(name).length <= MAX_TEXT, `${name.slice(0, 60)}: not a key name`);
}

async function parseKey(vkey) {
  const [, name, id, letters] = /^([^+]*)\+([^+]*)\+(.*)$/su.exec(vkey) ?? [];
  need(name !== undefined, `${vkey.slice(0, 60)}: not a vkey`);
  checkName(name);
  const data = fromBase64(letters, name);
  const [kind, bytes] = [data[0], data.slice(1)];
  need(PUBLIC_SIZE[kind] === bytes.length, `${name}: not a key of a known type`);
  need(kind === MLDSA44 || validPoint(bytes) !== null, `${name}: not an Ed25519 key`);
  const found = hex((await sha256(utf8(`${name}\n`), data)).slice(0, 4));
  need(found === id, `${name}: the key's id is ${found}, not ${id}`);
  return { name, id, kind, bytes };
}

/** Read a signed note: its text and its signature lines. */
function parseNote(source) {
  need(utf8(source).length <= MAX_NOTE, 'a note of more than a million bytes');
  need(!/[\u0000-\u0009\u000b-\u001f]/.test(source), 'a note with control characters');
  const split = source.lastIndexOf('\n\n');
  need(split >= 0 && source.endsWith('\n'), 'not a signed note');
  const lines = source.slice(split + 2).split('\n').slice(0, -1);
  need(lines.length >= 1 && lines.length <= MAX_SIGNATURES, 'a note has 1 to 100 signatures');
  const signatures = lines.map((line) => {
    const [, name, letters] = /^\u2014 ([^ ]*) (.*)$/u.exec(line) ?? [];
    need(name !== undefined, 'not a signature line');
    checkName(name);
    const blob = fromBase64(letters, name);
    need(blob.length > 4, `${name}: no signature in its line`);
    return { name, id: hex(blob.slice(0, 4)), signature: blob.slice(4) };
  });
  return { body: source.slice(0, split + 1), signatures };
}

/**
 * Check each line that is said to be by one of `keys`; others are ignored. Returns a Map from the
 * keys that signed to the newest second they said (null: none).
 */
async function signedBy(note, keys, point) {
  const found = new Map();
  for (const line of note.signatures) {
    const key = keys.find((each) => each.name === line.name && each.id === line.id);
    if (!key) continue;
    const seconds = await checkLine(note.body, key, line.signature, point);
    need(seconds !== undefined, `the signature of ${key.name} does not verify`, Untrue);
    const earlier = found.get(key) ?? null;
    found.set(key, seconds === null || (earlier !== null && earlier > seconds) ? earlier : seconds);
  }
  return found;
}

/** Return the second that a signature says, null if it says none, undefined if it is false. */
async function checkLine(body, key, signature, point) {
  if (key.kind === ED25519) {
    return (await checkEd25519(key.bytes, utf8(body), signature)) ? null : undefined;
  }
  const seconds = fromBigEndian(signature.slice(0, 8));
  if (signature.length <= 8 || seconds > MAX_NUMBER || !point) return undefined;
  const rest = signature.slice(8);
  if (key.kind === COSIGNATURE) {
    const message = utf8(`cosignature/v1\ntime ${seconds}\n${body}`);
    return (await checkEd25519(key.bytes, message, rest)) ? seconds : undefined;
  }
  const [name, origin] = [utf8(key.name), utf8(point.origin)];
  const message = concat(
    SUBTREE,
    Uint8Array.of(name.length),
    name,
    bigEndian(seconds, 8),
    Uint8Array.of(origin.length),
    origin,
    bigEndian(0, 8), // from the first entry on
    bigEndian(point.size, 8),
    point.root,
  );
  if (rest.length !== MLDSA44_SIGNATURE || !ml_dsa44.verify(rest, message, key.bytes)) {
    return undefined;
  }
  return seconds === 0n ? null : seconds;
}

function decimal(digits, what) {
  const whole = /^(?:0|[1-9][0-9]{0,18})$/.test(digits);
  need(whole && BigInt(digits) <= MAX_NUMBER, `${what}: ${digits.slice(0, 60)} is not a number`);
  return BigInt(digits);
}

function base64Hash(letters, what) {
  const bytes = fromBase64(letters, what);
  need(bytes.length === HASH_SIZE, `${what}: a hash has ${HASH_SIZE} bytes`);
  return bytes;
}

async function parseCheckpoint(body) {
  const lines = body.slice(0, -1).split('\n');
  need(lines.length >= 3 && lines.every(Boolean), 'a checkpoint has three lines that say something');
  const [origin, size, root, ...extensions] = lines;
  need(utf8(origin).length <= MAX_TEXT, 'an origin has at most 255 bytes');
  const point = { origin, size: decimal(size, 'size'), root: base64Hash(root, 'root'), extensions };
  const empty = point.size > 0n || equal(point.root, await sha256());
  need(empty, 'an empty log with a root of something', Untrue);
  return point;
}

function parseProof(source) {
  const split = source.indexOf('\n\n');
  need(split >= 0, 'a proof has an empty line before its checkpoint');
  const lines = source.slice(0, split).split('\n');
  need(lines.shift() === 'c2sp.org/tlog-proof@v1', 'not a c2sp.org/tlog-proof@v1');
  if (lines[0]?.startsWith('extra ')) {
    const extra = fromBase64(lines.shift().slice('extra '.length), 'extra');
    need(extra.length > 0 && extra.length <= MAX_EXTRA, 'extra data have 1 to 65536 bytes');
  }
  const index = lines.shift() ?? '';
  need(index.startsWith('index '), 'a proof says the index of its entry');
  need(lines.length <= 63, 'a path has at most 63 hashes');
  return {
    index: decimal(index.slice('index '.length), 'index'),
    path: lines.map((line) => base64Hash(line, 'path')),
    checkpoint: source.slice(split + 2),
  };
}

// ── policies ─────────────────────────────────────────────────────────────────────────────────

/** Read a c2sp.org/tlog-policy. Names are octets; they are shown as UTF-8 where they are. */
export async function parsePolicy(bytes) {
  need(bytes.length <= MAX_NOTE, 'a policy of more than a million bytes');
  for (const octet of bytes) {
    need((octet >= 32 && octet !== 127) || octet === 9 || octet === 10, 'policy: control character');
  }
  const octets = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  need(octets.endsWith('\n'), 'policy: the last line does not end in a newline');
  const policy = { logs: [], witnesses: new Map(), groups: new Map(), quorum: undefined };
  const members = new Set();
  for (const [number, line] of octets.split('\n').slice(0, -1).entries()) {
    const words = line.split(/[ \t]+/).filter(Boolean);
    if (words.length === 0 || words[0].startsWith('#')) continue;
    try {
      await policyLine(policy, members, words);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      throw new Malformed(`policy, line ${number + 1}: ${error.message}`);
    }
  }
  need(policy.quorum !== undefined, 'policy: no quorum line');
  return policy;
}

const shown = (octets) => new TextDecoder().decode(toOctets(octets));
const toOctets = (octets) => Uint8Array.from(octets, (letter) => letter.charCodeAt(0));

async function policyLine(policy, members, [word, ...rest]) {
  const defined = (name) => policy.witnesses.has(name) || policy.groups.has(name);
  const free = (name) => {
    const unused = name !== 'none' && name.length <= MAX_TEXT && !defined(name);
    need(unused, `${shown(name)}: the name is taken, or too long`);
  };
  const add = async (vkey, ...kinds) => {
    const key = await parseKey(text(toOctets(vkey), 'vkey'));
    need(kinds.includes(key.kind), `${key.name}: a key of type ${key.kind} does not sign this`);
    for (const other of allKeys(policy)) {
      const same = equal(other.bytes, key.bytes) || (other.name === key.name && other.id === key.id);
      need(!same, `${key.name}: this key is listed twice`);
    }
    return key;
  };
  const url = rest[{ log: 1, witness: 2 }[word]];
  if (url !== undefined) text(toOctets(url), 'URL');
  if (word === 'log' && (rest.length === 1 || rest.length === 2)) {
    policy.logs.push(await add(rest[0], ED25519, MLDSA44));
    need(policy.logs.length <= MAX_LISTED, 'too many logs');
  } else if (word === 'witness' && (rest.length === 2 || rest.length === 3)) {
    free(rest[0]);
    policy.witnesses.set(rest[0], await add(rest[1], COSIGNATURE, MLDSA44));
    need(policy.witnesses.size <= MAX_LISTED, 'too many witnesses');
  } else if (word === 'group' && rest.length >= 3) {
    const [name, count, ...listed] = rest;
    free(name);
    for (const member of listed) {
      need(defined(member) && !members.has(member), `${shown(member)}: not defined, or grouped`);
      members.add(member);
    }
    const needed = { any: 1, all: listed.length }[count] ?? Number(decimal(count, 'group'));
    need(needed >= 1 && needed <= listed.length, `${needed} of ${listed.length} members`);
    policy.groups.set(name, { needed, listed });
    need(policy.groups.size <= MAX_LISTED, 'too many groups');
  } else if (word === 'quorum' && rest.length === 1) {
    need(policy.quorum === undefined, 'a second quorum line');
    need(rest[0] === 'none' || defined(rest[0]), `${shown(rest[0])}: not defined`);
    policy.quorum = rest[0];
  } else {
    throw new Malformed('not a log, witness, group or quorum line');
  }
}

const allKeys = (policy) => [...policy.logs, ...policy.witnesses.values()];

function met(policy, name, witnesses) {
  if (name === 'none') return true;
  if (policy.witnesses.has(name)) return witnesses.has(name);
  const { needed, listed } = policy.groups.get(name);
  return listed.filter((member) => met(policy, member, witnesses)).length >= needed;
}

/** Open a checkpoint, once for all the proofs that carry the same. */
async function trusted(policy, source) {
  if (!policy.opened.has(source)) policy.opened.set(source, await open(policy, source));
  return policy.opened.get(source);
}

/** A log of the policy signed the checkpoint under its origin, and the quorum saw it. */
async function open(policy, source) {
  const note = parseNote(source);
  const point = await parseCheckpoint(note.body);
  const all = await signedBy(note, allKeys(policy), point);
  const signed = new Map([...all].filter(([, seconds]) => (seconds ?? 0n) <= policy.until));
  const logs = policy.logs.filter((key) => signed.has(key) && key.name === point.origin);
  need(logs.length > 0, `no listed key of the log ${said(point.origin)} signed this`, Untrue);
  const whole = point.extensions.length === 0 || logs.some((key) => key.kind === ED25519);
  need(whole, 'nobody signed the extension lines of the checkpoint', Untrue);
  const witnesses = new Map(
    [...policy.witnesses].filter(([, key]) => signed.has(key)).map(([n, key]) => [n, signed.get(key)]),
  );
  need(
    met(policy, policy.quorum, witnesses),
    `the quorum ${shown(policy.quorum)} did not see ${point.origin} at size ${point.size}`,
    Untrue,
  );
  return {
    ...point,
    logs: logs.map((key) => (key.kind === ED25519 ? 'Ed25519' : 'ML-DSA-44')),
    witnesses: [...witnesses].map(([name, seconds]) => ({ name: shown(name), seconds })),
  };
}

/** Words of a file, in quotes unless they are plain: none of them may pass for ours. */
function said(words) {
  if (/^[\p{L}\p{N}][\p{L}\p{N}._@*-]*$/u.test(words)) return words;
  const odd = /[\p{C}\p{Zl}\p{Zp}"\\]/gu;
  return `"${words.replace(odd, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`)}"`;
}

// ── evidence ─────────────────────────────────────────────────────────────────────────────────

const FORMAT = 'letterlock/evidence/v1';
const RECEIPT = 'letterlock/receipt/v1';
const LOGGED = { index: 'whole number from 0', entry: 'text', proof: 'text' };
const EVENT = {
  body: 'object', index: 'whole number from 0', kind: 'text', time: 'whole number',
  v: 'whole number from 0',
};
const CLAIM = { account: 'text', claim: 'text', vrf: 'text', bucket: 'text', path: 'list' };
const ACTS = new Map([['grant', 'said yes'], ['withdraw', 'withdrew'], ['object', 'objected']]);
const NAME_SIZE = 32;
const MAX_SET_DEPTH = 32;

const KINDS = { receipt, member, grants };

// What no evidence shows (docs/spec/evidence.md §6).
const NOT_HERS = 'That the account is hers, or her only one: whoever hands the file over says so.';
const NOT_PAST = 'What was used or copied past the gate: no release tells of that.';
const NOT_SEEN = "That anybody but the log's operator saw it: no witness did.";

/**
 * Check one evidence file under a policy file; both are bytes. Signatures from more than 5 minutes
 * after `now`, in seconds since 1970, do not count. See the top of this module.
 */
export async function verify(evidence, policy, now = Math.floor(Date.now() / 1000)) {
  need(evidence.length <= MAX_FILE, 'evidence: more than 16 MiB');
  const read = { ...(await parsePolicy(policy)), until: BigInt(now) + AHEAD, opened: new Map() };
  const value = parseJSON(text(evidence, 'evidence'), 'evidence');
  need(value instanceof Map, 'evidence: not an object');
  need(value.get('format') === FORMAT, `evidence: not ${FORMAT}`);
  const kind = value.get('kind');
  need(typeof kind === 'string' && Object.hasOwn(KINDS, kind), `this program does not check the kind ${said(String(kind))}`);
  const content = new Map(value);
  content.delete('format');
  content.delete('kind');
  const found = { kind, ...(await KINDS[kind](content, read)) };
  found.limits.push(NOT_HERS, NOT_PAST);
  if (!found.seen?.witnesses.length) found.limits.push(NOT_SEEN);
  return found;
}

async function inLog(policy, source, index, leaf, what) {
  const proof = parseProof(source);
  need(proof.index === BigInt(index), `${what}: the proof is of entry ${proof.index}`, Untrue);
  const at = await trusted(policy, proof.checkpoint);
  const holds = await included(at.root, leaf, proof.index, at.size, proof.path);
  need(holds, `${what}: the entry is not in the log`, Untrue);
  return at;
}

/** Read LOGGED: an event about everyone, of one kind, shown to be in the log. */
async function logged(policy, value, kinds, what) {
  const { index, entry, proof } = take(value, LOGGED, what);
  need(utf8(entry).length <= MAX_ENTRY, `${what}: no entry of a log is so long`);
  const event = take(parseCanonical(entry, `${what}.entry`), EVENT, `${what}.entry`);
  const right = event.index === index && [kinds].flat().includes(event.kind) && event.v === 1;
  need(right, `${what}: the entry is event ${event.index}, ${said(event.kind)}`, Untrue);
  const leaf = await leafHash(utf8(entry));
  const at = await inLog(policy, proof, index, leaf, what);
  return { index, leaf, kind: event.kind, body: event.body, at };
}

/** All entries are proved against one checkpoint. */
function oneView(...entries) {
  const [{ at: first }] = entries;
  for (const { at } of entries) {
    const same = at.origin === first.origin && at.size === first.size && equal(at.root, first.root);
    need(same && `${at.extensions}` === `${first.extensions}`, 'proofs of different views', Untrue);
  }
}

async function vrfKey(policy, value) {
  const key = await logged(policy, value, 'key.introduced', 'key');
  const { use } = take(key.body, { use: 'text' }, 'key.body', { open: true });
  need(use === 'vrf', `the key was introduced for ${said(use)}, not for vrf`, Untrue);
  const lost = key.body.has('lost') ? { lost: 'flag' } : {};
  const body = take(key.body, { use: 'text', key: 'text', ...lost }, 'key.body');
  return { ...key, bytes: sizedHex(body.key, 32, 'key.body.key') };
}

const OPENED = {
  purpose: 'text', recipient: 'text', as_of: 'whole number', upto: 'whole number from 0',
  sources: 'list', shards: 'whole number from 0', release: 'text',
};
const SEALED = {
  release: 'text', manifest: 'text', checked: 'whole number',
  opened: 'whole number from 0',
};
const SUPERSEDED = 'release.superseded'; // the seal of what a drop list leaves of a release
const LATER = { ...SEALED, version: 'whole number from 0', rows: 'whole number from 0' };
const setShape = (count) => ({
  key: 'whole number from 0', [count]: 'whole number from 0', depth: 'whole number from 0',
  root: 'text',
});

const prefixed = (said) => concat(bigEndian(utf8(said).length, 2), utf8(said));

/** Read what is claimed of an account, and return its secret token y. */
async function tokenOf(claim, key) {
  need(['in', 'not in'].includes(claim.claim), 'claim is neither "in" nor "not in"');
  need(utf8(claim.account).length < 2 ** 16, 'an account has at most 65535 bytes');
  const proof = sizedHex(claim.vrf, PROOF_SIZE, 'vrf');
  const label = utf8('letterlock/member/v1\0');
  const alpha = concat(label, prefixed(key.at.origin), prefixed(claim.account));
  return (await verifyVRF(key.bytes, alpha, proof)).slice(0, NAME_SIZE);
}

/** Check that bucket and path answer for `name` what was claimed, in a sealed set. */
async function checkSet(claim, name, count, depth, root) {
  const bits = count > 1 ? (BigInt(count) - 1n).toString(2).length : 0;
  need(depth === bits && depth <= MAX_SET_DEPTH, `${count} names in a tree of ${depth}`, Untrue);
  const bucket = fromHex(claim.bucket, 'bucket');
  need(claim.path.every((each) => typeof each === 'string'), 'path: not a list of texts');
  const path = claim.path.map((each) => sizedHex(each, HASH_SIZE, 'path'));
  need(bucket.length % NAME_SIZE === 0, 'the bucket does not hold whole names', Untrue);
  need(bucket.length <= count * NAME_SIZE, 'the bucket holds more names than the set', Untrue);
  const place = (bytes) => fromBigEndian(bytes) >> BigInt(8 * NAME_SIZE - depth);
  let found = false;
  for (let at = 0; at < bucket.length; at += NAME_SIZE) {
    const here = bucket.slice(at, at + NAME_SIZE);
    const ascends = at === 0 || compare(bucket.slice(at - NAME_SIZE, at), here) < 0;
    need(ascends, 'the names of the bucket do not ascend', Untrue);
    need(place(here) === place(name), 'the bucket holds a name of another one', Untrue);
    found ||= equal(here, name);
  }
  const leaf = await leafHash(bucket);
  const holds = await included(root, leaf, place(name), 1n << BigInt(depth), path);
  need(holds, 'the bucket is not the one that was sealed', Untrue);
  need(found === (claim.claim === 'in'), 'the file claims the opposite of what it proves', Untrue);
  return found;
}

async function member(content, policy) {
  const shape = { ...CLAIM, key: 'object', opened: 'object', sealed: 'object' };
  const found = take(content, shape, 'member');
  const key = await vrfKey(policy, found.key);
  const opened = await logged(policy, found.opened, 'release.opened', 'opened');
  const sealed = await logged(policy, found.sealed, ['release.sealed', SUPERSEDED], 'sealed');
  const asked = take(opened.body, OPENED, 'opened.body');
  const seal = sealed.kind === SUPERSEDED ? LATER : SEALED;
  const body = take(sealed.body, { ...seal, ...setShape('members') }, 'sealed.body');
  sizedHex(body.manifest, HASH_SIZE, 'sealed.body.manifest');
  const same = body.release === asked.release && body.opened === opened.index;
  need(same, 'what was sealed is another release than what was opened', Untrue);
  need(body.key === key.index, 'the release was sealed under another key', Untrue);
  const ordered = key.index < opened.index && opened.index < sealed.index;
  need(ordered, 'key, opening and sealing do not follow each other in the log', Untrue);
  oneView(key, opened, sealed);
  const y = await tokenOf(found, key);
  const scope = await sha256(
    utf8('letterlock/pseudonym/v1\0'),
    prefixed(key.at.origin),
    bigEndian(opened.index, 8),
    opened.leaf,
  );
  const name = await sha256(scope, y);
  const root = sizedHex(body.root, HASH_SIZE, 'sealed.body.root');
  const isIn = await checkSet(found, name, body.members, body.depth, root);
  return {
    says:
      `Account ${said(found.account)} is ${isIn ? '' : 'not '}among the ${body.members} members` +
      ` of release ${said(body.release)}.`,
    details: [`The release was opened for ${said(asked.purpose)}, to ${said(asked.recipient)}.`],
    limits: [
      "That no row of hers was filed in it under another account's name or under none.",
    ],
    seen: sealed.at,
  };
}

async function grants(content, policy) {
  const shape = { ...CLAIM, k: 'whole number from 0', key: 'object', sealed: 'object' };
  const found = take(content, shape, 'grants');
  const key = await vrfKey(policy, found.key);
  const sealed = await logged(policy, found.sealed, 'grants.sealed', 'sealed');
  const bodyShape = { ...setShape('count'), upto: 'whole number from 0' };
  const body = take(sealed.body, bodyShape, 'sealed.body');
  const ordered = key.index < sealed.index && body.upto < sealed.index && body.key === key.index;
  need(ordered, 'key, grants and their sealing do not follow each other in the log', Untrue);
  oneView(key, sealed);
  const y = await tokenOf(found, key);
  const name = await sha256(utf8('letterlock/event/v1\0'), y, bigEndian(found.k, 8));
  const root = sizedHex(body.root, HASH_SIZE, 'sealed.body.root');
  const isIn = await checkSet(found, name, body.count, body.depth, root);
  const upto = `recorded up to event ${body.upto}`;
  const none = found.k === 0 ? 'no grant' : `no grant numbered ${found.k} (they count from 0)`;
  return {
    says: `Account ${said(found.account)} has ${isIn ? `a grant numbered ${found.k}` : none} ${upto}.`,
    details: [],
    limits: ['What was recorded later.', 'That grants were numbered as the platform says.'],
    seen: sealed.at,
  };
}

async function receipt(content, policy) {
  const shape = {
    receipt: 'object', event: 'text', salt: 'text', signed: 'text or null', proof: 'text or null',
  };
  const found = take(content, shape, 'receipt');
  need(utf8(found.event).length <= MAX_EVENT, 'event: more than a mebibyte');
  const event = take(parseCanonical(found.event, 'event'), EVENT, 'event');
  const act = event.kind === 'choice.made' && event.v === 1 && ACTS.get(event.body.get('act'));
  const subject = event.body.get('subject');
  const known = act && typeof subject === 'string' && Array.isArray(event.body.get('lines'));
  need(known, 'the event is not a choice that is known here');
  const salt = sizedHex(found.salt, 32, 'salt');
  need(found.signed !== null || found.proof !== null, 'nobody signed this receipt', Untrue);
  const label = utf8('letterlock/commitment/v1\0');
  const commitment = hex(await sha256(label, salt, utf8(found.event)));
  const shown = [];
  const limits = ['That the choice was heeded, or that none came after it.'];
  let seen = null;
  let origin;
  if (found.signed !== null) {
    const sum = hex(await sha256(utf8(canonical(found.receipt))));
    origin = await promised(policy, found.signed, [String(event.index), commitment, sum]);
    shown.push(`signed by the log ${origin}`);
  } else {
    limits.push("The receipt's own words, which nobody signed: only the event is proved.");
  }
  if (found.proof !== null) {
    const leaf = await leafHash(utf8(`{"commitment":"${commitment}"}`));
    const at = await inLog(policy, found.proof, event.index, leaf, 'receipt');
    need(!origin || origin === at.origin, 'signed by one log, proved in another', Untrue);
    shown.push(`shown to be in the log ${at.origin}`);
    origin = at.origin;
    seen = at;
  } else {
    limits.push('That the event is in the log: so far there is only its promise.');
  }
  about(found.receipt, origin, event.index, commitment, subject);
  const details = event.body.get('lines').map(lineInWords);
  const says = `Account ${said(subject)} ${act} (event ${event.index}): ${shown.join(', ')}.`;
  return { says, details, limits, seen };
}

function inWords(value) {
  if (Array.isArray(value)) return value.map(inWords).join(' and ');
  return said(typeof value === 'string' ? value : canonical(value));
}

/** One line of a choice, as it stands in the event; what it does not name it leaves open. */
function lineInWords(line) {
  need(line instanceof Map, 'event: a line is not an object');
  const rest = new Map(line);
  const [data, purpose, recipient] = ['data_class', 'purpose', 'recipient'].map((key) => {
    const value = rest.get(key);
    rest.delete(key);
    if (value === undefined || value === '*') return undefined;
    return inWords(value);
  });
  const more = [...rest].map(([key, value]) => {
    const moment = key === 'expires' && new Date(value / 1000);
    const time = moment && !Number.isNaN(moment.getTime()) && moment.toISOString();
    return `, ${said(key)}: ${time || inWords(value)}`;
  });
  const named = `${data ?? 'everything'}, for ${purpose ?? 'any purpose'}`;
  return `${named}, to ${recipient ?? 'anybody'}${more.join('')}`;
}

/**
 * Hold what a receipt says of person and place against the event that is committed to. What else it
 * says is the log's word, and signed with it or not at all.
 */
function about(record, origin, index, commitment, subject) {
  const person = record.get('dpv:hasDataSubject');
  const place = record.get('ll:log');
  const hers = person instanceof Map && person.get('dct:identifier') === subject;
  need(hers, 'the receipt is about somebody else than its event', Untrue);
  const there =
    place instanceof Map &&
    place.get('ll:origin') === origin &&
    place.get('ll:index') === index &&
    place.get('ll:commitment') === commitment;
  need(there, "the receipt names another place in the log than its event's", Untrue);
}

/** Open the log's own note about a receipt; `lines` are what it has to say after the origin. */
async function promised(policy, source, lines) {
  const note = parseNote(source);
  const signed = await signedBy(note, policy.logs.filter((key) => key.kind === ED25519));
  const [head, origin, ...rest] = note.body.slice(0, -1).split('\n');
  const about = head === RECEIPT && rest.length === 3 && rest.every((each, i) => each === lines[i]);
  need(about, 'the signed note is about another receipt', Untrue);
  const known = [...signed.keys()].some((key) => key.name === origin);
  need(known, 'the receipt is not signed by a listed Ed25519 key of the log', Untrue);
  return origin;
}

/** For tests/verifiers/vectors.mjs alone. */
export const parts = {
  included, leafHash, parseCheckpoint, parseKey, parseNote, parseProof, signedBy, trusted,
};
