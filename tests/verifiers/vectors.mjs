// Prints the answer of verifiers/js to each golden vector of notes; test_vectors.py knows what it
// has to be.

import { readdir, readFile } from 'node:fs/promises';

import { Malformed, parsePolicy, parts, Untrue } from '../../verifiers/js/verify.mjs';

const FOLDER = new URL('../vectors/note/', import.meta.url);

async function bytes(vector, name) {
  return Buffer.from(vector[name] ?? Buffer.from(vector[`${name}_hex`] ?? '', 'hex'));
}

function decoded(data) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new Malformed('not UTF-8');
  }
}

async function check(vector) {
  const input = await bytes(vector, 'input');
  if (vector.form === 'policy') return parsePolicy(input);
  const said = decoded(input);
  if (vector.form === 'vkey') return parts.parseKey(said);
  if (vector.form === 'note' || vector.form === 'checkpoint') {
    const keys = await Promise.all(vector.keys.map(parts.parseKey));
    const note = parts.parseNote(said);
    const point = vector.form === 'note' ? undefined : await parts.parseCheckpoint(note.body);
    const signed = await parts.signedBy(note, keys, point);
    if (signed.size === 0) throw new Untrue('nobody known');
    const whole = !point?.extensions.length || [...signed.keys()].some((key) => key.kind !== 6);
    if (!whole) throw new Untrue('nobody signed the extension lines');
    return note;
  }
  const read = await parsePolicy(await bytes(vector, 'policy'));
  const until = vector.now === null || vector.now === undefined ? 2n ** 64n : BigInt(vector.now) + 300n;
  const policy = { ...read, until, opened: new Map() };
  if (vector.form === 'quorum') return parts.trusted(policy, said);
  const proof = parts.parseProof(said);
  const at = await parts.trusted(policy, proof.checkpoint);
  const leaf = await parts.leafHash(await bytes(vector, 'entry'));
  if (await parts.included(at.root, leaf, proof.index, at.size, proof.path)) return proof;
  throw new Untrue('not there');
}

for (const folder of ['valid', 'tampered']) {
  for (const file of (await readdir(new URL(folder, FOLDER))).filter((n) => n.endsWith('.json'))) {
    const vector = JSON.parse(await readFile(new URL(`${folder}/${file}`, FOLDER), 'utf-8'));
    let answer = 'yes';
    try {
      await check(vector);
    } catch (error) {
      if (!(error instanceof Untrue || error instanceof Malformed)) throw error;
      answer = 'no';
    }
    console.log('vector', `${folder}/${file}`, answer);
  }
}
