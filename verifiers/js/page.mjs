// The page: two files in, an answer in words out. All checking is verify.mjs's; nothing is sent.

import { Malformed, Untrue, verify } from './verify.mjs';

const $ = (id) => document.getElementById(id);
const given = { evidence: null, policy: null };

const HEADINGS = {
  yes: 'It holds.',
  no: 'It does not hold.',
  error: 'It cannot be read, so nothing was checked.',
};

/** Fill a list; a file's words are only ever text. */
function list(id, items) {
  $(id).replaceChildren(
    ...items.map((item) => {
      const element = document.createElement('li');
      element.textContent = item;
      return element;
    }),
  );
}

function time(seconds) {
  if (seconds === null || seconds >= 2n ** 40n) return 'at a time that it does not say';
  return `on ${new Date(Number(seconds) * 1000).toUTCString()}`;
}

function vouched(seen) {
  if (seen === null) return ['The log itself, by its signature.'];
  const keys = seen.logs.join(' and ');
  const log = `The log ${seen.origin}, when it had ${seen.size} entries, by ${keys}.`;
  if (seen.witnesses.length === 0) return [log, 'No witness: the log alone vouches for itself.'];
  const witness = ({ name, seconds }) => `The witness ${name}, ${time(seconds)}.`;
  return [log, ...seen.witnesses.map(witness)];
}

function show(answer, says, found = null) {
  $('answer').className = answer;
  $('verdict').textContent = HEADINGS[answer];
  $('says').textContent = says;
  $('more').hidden = found === null;
  list('details', found === null ? [] : found.details);
  list('seen', found === null ? [] : vouched(found.seen));
  list('limits', found === null ? [] : found.limits);
  $('answer').hidden = false;
  $('verdict').focus();
}

async function check() {
  if (given.evidence === null || given.policy === null) return;
  const [evidence, policy] = [given.evidence, given.policy];
  let shown;
  try {
    const bytes = await Promise.all(
      [evidence, policy].map(async (file) => new Uint8Array(await file.arrayBuffer())),
    );
    const found = await verify(...bytes);
    shown = ['yes', found.says, found];
  } catch (error) {
    if (error instanceof Untrue) shown = ['no', `Because: ${error.message}.`];
    else if (error instanceof Malformed) shown = ['error', `Because: ${error.message}.`];
    else shown = ['error', `This page failed: ${error.message}`];
  }
  // While it was checked, another file may have been chosen.
  if (given.evidence === evidence && given.policy === policy) show(...shown);
}

function choose(role, file) {
  given[role] = file ?? null;
  $('answer').hidden = true;
  check();
}

/** Of dropped files, evidence is the one that begins as JSON does. */
async function drop(files) {
  for (const file of files) {
    const start = (await file.slice(0, 64).text()).trimStart();
    const role = start.startsWith('{') ? 'evidence' : 'policy';
    const kept = new DataTransfer();
    kept.items.add(file);
    $(role).files = kept.files;
    choose(role, file);
  }
}

for (const role of ['evidence', 'policy']) {
  $(role).addEventListener('change', () => choose(role, $(role).files[0]));
}
$('files').addEventListener('submit', (event) => event.preventDefault());
for (const name of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle('over', name === 'dragover');
    if (name === 'drop') drop([...event.dataTransfer.files]);
  });
}
for (const role of ['evidence', 'policy']) if ($(role).files[0]) choose(role, $(role).files[0]);
