'use strict';

// Text from the document is set as text, never as markup.
function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties || {});
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

let spec = {};

function resolve(schema) {
  for (let i = 0; schema && schema.$ref && i < 20; i++) {
    schema = schema.$ref.slice(2).split('/').reduce((at, key) => at && at[key], spec);
  }
  return schema || {};
}

function nameOf(schema) {
  return schema && schema.$ref ? schema.$ref.split('/').pop() : '';
}

function typeOf(schema) {
  const s = resolve(schema);
  const types = [].concat(s.type || (s.properties ? 'object' : 'any')).filter((t) => t !== 'null');
  if (types[0] === 'array') return 'list of ' + (nameOf(s.items) || typeOf(s.items));
  return types.join(' or ') + (s.format ? ' (' + s.format + ')' : '');
}

function limits(schema) {
  const s = resolve(schema);
  const out = [];
  if (s.enum) out.push('one of ' + s.enum.join(', '));
  for (const [key, word] of [['minimum', 'at least'], ['maximum', 'at most'], ['minLength', 'length at least'],
    ['maxLength', 'length at most'], ['maxItems', 'items at most'], ['default', 'default']]) {
    if (s[key] !== undefined) out.push(word + ' ' + s[key]);
  }
  return out.join('; ');
}

function describe(schema, seen) {
  const s = resolve(schema);
  const name = nameOf(schema);
  if ([].concat(s.type).includes('array')) return describe(s.items, seen);
  if (!s.properties) return make('span', { className: 'hint', textContent: [typeOf(schema), limits(schema)].filter(Boolean).join('; ') });
  if (name && seen.includes(name)) return make('span', { textContent: 'see ' + name + ' above' });
  const list = make('ul');
  for (const [key, value] of Object.entries(s.properties)) {
    const item = make('li', {}, make('strong', { textContent: key }), ' ',
      make('span', { textContent: typeOf(value) + ((s.required || []).includes(key) ? ', required' : '') }));
    const about = [resolve(value).description || value.description, limits(value)].filter(Boolean).join('. ');
    if (about) item.append(make('span', { className: 'hint', textContent: ' ' + about }));
    const inner = [].concat(resolve(value).type).includes('array') ? resolve(value).items : value;
    if (resolve(inner).properties) {
      const more = make('details', {}, make('summary', { textContent: nameOf(inner) || 'fields' }));
      more.addEventListener('toggle', () => {
        if (more.open && more.children.length === 1) more.append(make('div', {}, describe(inner, seen.concat(name))));
      });
      item.append(more);
    }
    list.append(item);
  }
  return list;
}

function example(schema, depth) {
  const s = resolve(schema);
  if (s.default !== undefined) return s.default;
  if (s.enum) return s.enum[0];
  const type = [].concat(s.type || (s.properties ? 'object' : ''))[0];
  switch (type) {
    case 'object': {
      const out = {};
      for (const [key, value] of Object.entries(s.properties || {})) {
        const only = resolve(value);
        if (depth < 2 && !only.readOnly && !value.readOnly && (s.required || []).includes(key)) out[key] = example(value, depth + 1);
      }
      return out;
    }
    case 'array': return [];
    case 'integer': case 'number': return s.minimum || 0;
    case 'boolean': return false;
    default: return '';
  }
}

function field(parameter) {
  const s = resolve(parameter.schema);
  if (s.enum || [].concat(s.type).includes('boolean')) {
    const options = ['', ...(s.enum || ['true', 'false'])];
    return make('select', { name: parameter.name }, ...options.map((o) => make('option', { value: o, textContent: o || '–' })));
  }
  return make('input', { name: parameter.name, required: Boolean(parameter.required), size: 30 });
}

function parameters(list) {
  const table = make('table', {}, make('thead', {}, make('tr', {}, ...['Name', 'In', 'Type', 'Meaning', 'Value'].map((t) => make('th', { textContent: t })))));
  const body = make('tbody');
  for (const p of list) {
    const input = field(p);
    input.dataset.where = p.in;
    input.setAttribute('aria-label', p.name);
    body.append(make('tr', {},
      make('td', { textContent: p.name + (p.required ? ' *' : '') }), make('td', { textContent: p.in }),
      make('td', { textContent: typeOf(p.schema) }),
      make('td', { textContent: [p.description || resolve(p.schema).description, limits(p.schema)].filter(Boolean).join('. ') }),
      make('td', {}, input)));
  }
  table.append(body);
  return make('div', { className: 'wide' }, table);
}

async function send(method, path, form, body, out) {
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll('[data-where]')) {
    if (input.value === '') continue;
    if (input.dataset.where === 'path') path = path.replace('{' + input.name + '}', encodeURIComponent(input.value));
    else if (input.dataset.where === 'query') query.append(input.name, input.value);
  }
  const headers = {};
  const token = document.getElementById('token').value.trim();
  if (token) headers.Authorization = 'Bearer ' + token;
  if (body) headers['Content-Type'] = body.type === 'file' ? 'application/octet-stream' : 'application/json';
  const content = body ? (body.type === 'file' ? body.files[0] : body.value) : undefined;
  out.textContent = 'Waiting for the answer …';
  try {
    const answer = await fetch(path + (query.size ? '?' + query : ''), {
      method, headers, body: content, credentials: token ? 'omit' : 'same-origin', redirect: 'error',
    });
    const type = answer.headers.get('Content-Type') || '';
    const status = (answer.status + ' ' + answer.statusText).trim() + '\n';
    const file = /filename="([^"]+)"/.exec(answer.headers.get('Content-Disposition') || '');
    if (type.startsWith('text/event-stream')) {
      answer.body.cancel();
      out.textContent = status + '(a stream of events: use curl -N)';
      return;
    }
    if (answer.ok && file) {
      const blob = await answer.blob();
      out.replaceChildren(status, make('a', { href: URL.createObjectURL(blob), download: file[1], textContent: file[1] }), ' (' + blob.size + ' bytes)');
      return;
    }
    let text = await answer.text();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    const most = 200000;
    out.textContent = status + (text.length > most ? text.slice(0, most) + '\n…' : text);
  } catch (error) {
    out.textContent = 'No answer: ' + error.message;
  }
}

function operation(method, path, op) {
  const inside = make('div');
  const box = make('details', { id: op.operationId, className: 'operation' },
    make('summary', {}, make('span', { className: 'method ' + method, textContent: method.toUpperCase() }),
      make('span', { className: 'path', textContent: path }), make('span', { className: 'what', textContent: op.summary || '' })), inside);
  box.dataset.text = [method, path, op.summary, op.operationId].join(' ').toLowerCase();
  box.addEventListener('toggle', () => {
    if (!box.open || inside.childElementCount) return;
    const form = make('form');
    if (op.description) form.append(make('p', { textContent: op.description }));
    if ((op.parameters || []).length) form.append(make('h3', { textContent: 'Parameters' }), parameters(op.parameters));
    let body = null;
    const content = op.requestBody && op.requestBody.content && op.requestBody.content['application/json'];
    if (content) {
      body = make('textarea', { spellcheck: false, value: JSON.stringify(example(content.schema, 0), null, 2) });
      body.setAttribute('aria-label', 'Body');
      form.append(make('h3', { textContent: 'Body' + (nameOf(content.schema) ? ': ' + nameOf(content.schema) : '') }),
        make('div', { className: 'schema' }, describe(content.schema, [])), body);
    } else if (op.requestBody) {
      body = make('input', { type: 'file', required: true });
      body.setAttribute('aria-label', 'File');
      form.append(make('h3', { textContent: 'Body: a file' }), body);
    }
    const out = make('pre', { hidden: true });
    out.setAttribute('aria-live', 'polite');
    form.append(make('p', {}, make('button', { textContent: 'Send' })), out);
    form.append(make('h3', { textContent: 'Answers' }));
    for (const [status, answer] of Object.entries(op.responses || {})) {
      form.append(make('p', {}, make('strong', { textContent: status }), ' ' + (answer.description || '')));
      for (const media of Object.values(answer.content || {})) {
        form.append(make('div', { className: 'schema' }, describe(media.schema, [])));
      }
    }
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      out.hidden = false;
      send(method.toUpperCase(), path, form, body, out);
    });
    inside.append(form);
  });
  return box;
}

function show() {
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths || {})) {
    for (const method of ['get', 'post', 'put', 'patch', 'delete']) {
      if (!item[method]) continue;
      const tag = (item[method].tags || ['Other'])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(method, path, item[method]));
    }
  }
  const main = document.getElementById('operations');
  const tags = document.getElementById('tags');
  for (const tag of [...groups.keys()].sort()) {
    const id = 'tag-' + tag.toLowerCase();
    tags.append(make('a', { href: '#' + id, textContent: tag }));
    main.append(make('section', {}, make('h2', { id, textContent: tag }), ...groups.get(tag)));
  }
  goTo();
}

// goTo opens the operation that the address names.
function goTo() {
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!wanted) return;
  if (wanted.tagName === 'DETAILS') wanted.open = true;
  wanted.scrollIntoView();
}

function find(text) {
  let found = 0;
  for (const section of document.querySelectorAll('section')) {
    let here = 0;
    for (const box of section.querySelectorAll('.operation')) {
      box.hidden = !box.dataset.text.includes(text);
      if (!box.hidden) here++;
    }
    section.hidden = here === 0;
    found += here;
  }
  document.getElementById('found').textContent = text ? found + ' found' : '';
}

document.getElementById('access').addEventListener('submit', (event) => event.preventDefault());
document.getElementById('find').addEventListener('input', (event) => find(event.target.value.trim().toLowerCase()));
window.addEventListener('hashchange', goTo);

fetch('/openapi.json').then((answer) => answer.json()).then((document_) => {
  spec = document_;
  document.getElementById('about').textContent = spec.info.description + ' Version ' + spec.info.version + '.';
  show();
}).catch((error) => {
  document.getElementById('about').textContent = 'The document could not be read: ' + error.message;
});
