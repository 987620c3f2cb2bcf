#!/usr/bin/env node
// node cli.mjs --policy FILE [--now SECONDS] [--json] BUNDLE…
// node cli.mjs vrf KEY ALPHA PROOF …      (hex; prints β)
// Exit codes: 0 every file holds, 1 a file cannot be read, 2 usage, 3 a file does not hold.

import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { parseArgs } from 'node:util';

import { fromHex, Malformed, parsePolicy, Untrue, verify, verifyVRF } from './verify.mjs';

const [YES, ERROR, USAGE, NO] = [0, 1, 2, 3];

function usage() {
  console.error('usage: node cli.mjs --policy FILE [--now SECONDS] [--json] BUNDLE...');
  console.error('       node cli.mjs vrf KEY ALPHA PROOF...');
  return USAGE;
}

/** A file's words are not ours: no control character reaches the terminal. */
const printable = (text) => text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '?');

function time(seconds) {
  if (seconds === null || seconds >= 2n ** 40n) return '';
  return ` at ${new Date(Number(seconds) * 1000).toISOString().replace('.000', '')}`;
}

function by({ origin, size, logs, witnesses }) {
  const who = witnesses.map(({ name, seconds }) => name + time(seconds)).join(', ');
  const log = `${origin} at size ${size}: log signature (${logs.join(', ')})`;
  return `${log}, ${who ? `witnessed by ${who}` : 'no witness'}`;
}

async function read(file) {
  try {
    return await readFile(file);
  } catch (error) {
    throw new Malformed(error.message);
  }
}

async function answer(file, policy, now) {
  try {
    const found = await verify(await read(file), policy, now);
    const { kind, details, limits, seen } = found;
    const says = [found.says, ...details].join(' ');
    return { file, answer: 'yes', kind, says, by: seen ? by(seen) : undefined, not_shown: limits };
  } catch (error) {
    if (error instanceof Untrue) return { file, answer: 'no', says: error.message };
    if (error instanceof Malformed) return { file, answer: 'error', says: error.message };
    throw error;
  }
}

async function vrf(words) {
  let code = YES;
  for (let at = 0; at < words.length; at += 3) {
    try {
      const [key, alpha, proof] = words.slice(at, at + 3).map((word) => fromHex(word));
      console.log(Buffer.from(await verifyVRF(key, alpha, proof)).toString('hex'));
    } catch (error) {
      if (error instanceof Malformed) return usage();
      if (!(error instanceof Untrue)) throw error;
      console.log(`no    ${error.message}`);
      code = NO;
    }
  }
  return code;
}

async function main(words) {
  if (words[0] === 'vrf' && words.length > 1 && words.length % 3 === 1) return vrf(words.slice(1));
  let given;
  try {
    const string = { type: 'string' };
    const options = { policy: string, now: string, json: { type: 'boolean' } };
    given = parseArgs({ args: words, options, allowPositionals: true });
  } catch {
    return usage();
  }
  const files = given.positionals;
  const { now } = given.values;
  if ((now ?? '0').match(/^[0-9]{1,15}$/) === null) return usage();
  if (!given.values.policy || files.length === 0) return usage();
  let policy;
  try {
    policy = await read(given.values.policy);
    await parsePolicy(policy);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    console.error(printable(error.message));
    return ERROR;
  }
  const answers = new Set();
  for (const file of files) {
    const line = await answer(file, policy, now && Number(now));
    const because = line.by ? ` [${line.by}]` : '';
    const not = line.not_shown ? ` Not shown: ${line.not_shown.join(' ')}` : '';
    const plain = `${line.answer.padEnd(5)} ${line.file}: ${line.says}${because}${not}`;
    console.log(given.values.json ? JSON.stringify(line) : printable(plain));
    answers.add(line.answer);
  }
  if (answers.has('no')) return NO;
  return answers.has('error') ? ERROR : YES;
}

process.exitCode = await main(process.argv.slice(2));
