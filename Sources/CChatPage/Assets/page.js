// The gateway's page: the component, who is logged in, the panel of the last exchange, and a form for each type.

import { codeBlock, element, Texts, TypeFields } from './mcp-chat.js?v=dev';
import { showExchange } from './page-exchange.js?v=dev';

const byId = (id) => document.getElementById(id);
const chat = byId('chat');
const texts = new Texts();

// MARK: The last exchange

const panel = { timing: byId('timing'), front: byId('front'), mcp: byId('mcp'), curl: byId('curl') };
let types = [];

function show({ detail: { payload, record } }) {
    if (!record) return;
    byId('no-exchange').hidden = true;
    byId('exchange').hidden = false;
    const type = types.find(({ name, isDefault }) => (payload.type === undefined ? isDefault : name === payload.type));
    showExchange(panel, record, type);
}

chat.addEventListener('mcp-chat-response', show);
chat.addEventListener('mcp-chat-error', show);

// MARK: Types

chat.addEventListener('mcp-chat-types', ({ detail }) => {
    types = detail.types;
    byId('types').replaceChildren(...types.map(typeForm));
});

function typeForm(type) {
    const fields = new TypeFields(type, texts);
    const form = element('form', { noValidate: true }, fields.node, element('button', { type: 'submit' }, `Send ${type.name}`));
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        const payload = fields.payload();
        if (!payload) return;
        chat.scrollIntoView({ block: 'nearest' });
        chat.send(payload);
    });
    const title = element('summary', {}, element('code', {}, type.name), element('span', {}, texts.name('type', type.name)));
    if (type.isDefault) title.append(element('span', { className: 'tag' }, 'default'));
    const about = element('p', { className: 'hint', dir: 'auto' }, type.description || 'Its tool is not known: the upstream cannot be reached.');
    const tool = type.tool ? element('p', { className: 'hint' }, 'Tool ', element('code', {}, type.tool.name), type.tool.readOnly ? ', read-only' : '') : '';
    return element('details', { className: 'type' }, title, about, tool, form);
}

// MARK: Account

async function post(path, body) {
    const response = await fetch(new URL(path, document.baseURI), {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body), credentials: 'same-origin',
    });
    const text = await response.text();
    try {
        return { response, value: JSON.parse(text) };
    } catch {
        return { response, value: { error: text.slice(0, 200) } };
    }
}

function showAccount(name) {
    byId('who').hidden = name === null;
    byId('login').hidden = name !== null;
    byId('who-name').textContent = name ?? '';
}

byId('login-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const problem = byId('login-error');
    const { username, password } = event.target.elements;
    problem.textContent = '';
    try {
        const { response, value } = await post('auth/login', { username: username.value, password: password.value });
        if (!response.ok) {
            const id = response.headers.get('X-Request-Id');
            problem.textContent = `${value.error ?? 'The login did not work'}. Request id: ${id ?? 'none'}`;
            password.select();
            return;
        }
        password.value = '';
        byId('login').open = false;
        showAccount(value.alias || value.username);
        byId('logout').focus();
        chat.clear();
        await chat.loadHistory();
    } catch {
        problem.textContent = 'The server cannot be reached.';
    }
});

byId('logout').addEventListener('click', async () => {
    try {
        const { response } = await post('auth/logout', {});
        if (!response.ok) return;
        showAccount(null);
        // What was said before belongs to somebody else now.
        chat.clear();
        byId('login').querySelector('summary').focus();
    } catch {
        byId('who-name').textContent += ' (the server cannot be reached)';
    }
});

byId('login').addEventListener('toggle', ({ target }) => {
    if (target.open) byId('username').focus();
});
byId('login').addEventListener('keydown', ({ key, currentTarget }) => {
    if (key !== 'Escape') return;
    currentTarget.open = false;
    currentTarget.querySelector('summary').focus();
});

chat.addEventListener('mcp-chat-history', async ({ detail }) => {
    if (!detail.authenticated || !byId('who').hidden) return;
    const { value } = await post('api/chat/', { type: 'get_user_info' });
    const user = value.replies?.[0];
    showAccount(user?.alias || user?.username || 'somebody');
});

// MARK: Embedding

const source = new URL('assets/mcp-chat.js', document.baseURI).pathname;
byId('embed').append(codeBlock(`<script type="module" src="${source}"></script>\n<mcp-chat></mcp-chat>`, texts, 'HTML'));
