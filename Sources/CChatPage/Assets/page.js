// The gateway's page: the component, the logged-in user, the panel of the last exchange, and a form for each type.

import { codeBlock, element, TypeFields } from './mcp-chat.js?v=dev';
import { showExchange } from './page-exchange.js?v=dev';
import { texts, translate } from './page-texts.js?v=dev';

const byId = (id) => document.getElementById(id);
const chat = byId('chat');

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
    const form = element('form', { noValidate: true }, fields.node, element('button', { type: 'submit' }, texts.get('types.send', { type: type.name })));
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        const payload = fields.payload();
        if (!payload) return;
        chat.scrollIntoView({ block: 'nearest' });
        chat.send(payload);
    });
    const title = element('summary', {}, element('code', {}, type.name), element('span', {}, texts.name('type', type.name)));
    if (type.isDefault) title.append(element('span', { className: 'tag' }, texts.get('types.default')));
    const about = element('p', { className: 'hint', dir: 'auto' }, type.description || texts.get('types.unknown'));
    const tool = type.tool ? element('p', { className: 'hint' }, `${texts.get('types.tool')} `, element('code', {}, type.tool.name), ` ${texts.get('types.upstream', { upstream: type.tool.upstream })}`, type.tool.readOnly ? `, ${texts.get('types.readOnly')}` : '') : '';
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
            problem.textContent = `${value.error ?? texts.get('login.failed')}. ${texts.get('requestId')}: ${id ?? '–'}`;
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
        problem.textContent = texts.get('page.unreachable');
    }
});

byId('logout').addEventListener('click', async () => {
    try {
        const { response } = await post('auth/logout', {});
        if (!response.ok) return;
        showAccount(null);
        // The messages are those of the user who has just logged out.
        chat.clear();
        byId('login').querySelector('summary').focus();
    } catch {
        byId('who-name').textContent += ` (${texts.get('page.unreachable')})`;
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
    showAccount(user?.alias || user?.username || texts.get('login.somebody'));
});

// MARK: Embedding

const source = new URL('assets/mcp-chat.js', document.baseURI).pathname;
byId('embed').append(codeBlock(`<script type="module" src="${source}"></script>\n<mcp-chat></mcp-chat>`, texts, 'HTML'));

translate(chat);
