// Markdown as a document fragment. Text becomes text nodes and nothing else: there is no way from data to markup.

/** Control characters, and the bidirectional embeddings and overrides that make text look like another. */
const HARMFUL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text that is fit to be shown. */
export function clean(text) {
    return String(text).replace(/\r\n?|[\u2028\u2029]/g, '\n').replace(HARMFUL, '');
}

/** The URL when it leads to http or https and hides nothing; else null. */
export function safeURL(value, base) {
    if (typeof value !== 'string' || /[\u0000-\u0020\u007f-\u009f\\\u200b-\u200f\u202a-\u202e\u2066-\u2069]/.test(value)) {
        return null;
    }
    let url;
    try {
        url = new URL(value, base);
    } catch {
        return null;
    }
    const isPlain = url.protocol === 'https:' || url.protocol === 'http:';
    return value !== '' && isPlain && !url.username && !url.password ? url : null;
}

/** A new element with properties and children; strings become text nodes. */
export function element(name, properties = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
        if (value === undefined || value === null || value === false) continue;
        if (key in node && !key.includes('-')) node[key] = value;
        else node.setAttribute(key, value === true ? '' : value);
    }
    node.append(...children);
    return node;
}

/** A link that says where it leads; plain text when the URL is not safe. */
export function link(url, label, { base, newTab }) {
    const target = safeURL(url, base);
    const text = typeof label === 'string' ? [element('bdi', {}, clean(label))] : [label];
    if (!target) return element('span', {}, ...text);
    const anchor = element('a', { href: target.href }, ...text);
    if (target.origin === new URL(base).origin) return anchor;
    anchor.target = '_blank';
    anchor.rel = 'noopener noreferrer nofollow';
    const shown = anchor.textContent.toLowerCase();
    if (!shown.includes(target.host)) anchor.append(element('bdi', { className: 'host', dir: 'ltr' }, ` (${target.host})`));
    anchor.append(element('span', { className: 'hidden' }, ` (${newTab})`));
    return anchor;
}

const DEPTH_LIMIT = 12;
/** Longest paragraph whose marks are interpreted; longer ones are shown as plain text. */
const INLINE_LIMIT = 20_000;
/** Longest distance at which the end of a mark is searched. */
const REACH = 4000;

/**
 * Work that one text may cost: a step for each character that is looked at, many for each node that is made. What is left
 * when it is used up is shown as it is, so that no text can hold the page up.
 */
const BUDGET = 2_000_000;
const NODE_COST = 100;
const SOURCES_LIMIT = 500;

// MARK: Lines. Each is walked a fixed number of times, whatever stands in it.

/** The marks and the language of a line that begins or ends a block of code; else null. */
function fenceOf(line) {
    const match = /^ {0,3}(`{3,}|~{3,})/.exec(line);
    if (!match) return null;
    const language = line.slice(match[0].length).trim();
    return language.includes('`') ? null : { mark: match[1], language };
}

function headingOf(line) {
    const match = /^ {0,3}(#{1,6})\s/.exec(line);
    if (!match) return null;
    const text = line.slice(match[0].length).trim();
    let end = text.length;
    while (end > 0 && text[end - 1] === '#') end -= 1;
    // Marks at the end belong to the heading only if they stand apart: "C#" keeps its own.
    const heading = end === 0 || /\s/.test(text[end - 1]) ? text.slice(0, end).trimEnd() : text;
    return heading.length <= 1000 ? { depth: match[1].length, text: heading } : null;
}

function isRule(line) {
    return /^ {0,3}[*\-_]/.test(line) && /^(?:\*{3,}|-{3,}|_{3,})$/.test(line.replace(/\s+/g, ''));
}

/** The indent, number, text and the text's column of a line that begins an item of a list; else null. */
function itemOf(line) {
    const indent = line.search(/\S/);
    const match = indent < 0 ? null : /^(?:[-*+•]|(\d{1,9})[.)])(?=\s)/.exec(line.slice(indent, indent + 12));
    if (!match) return null;
    const text = line.slice(indent + match[0].length).trimStart();
    return { indent, number: match[1], text, column: line.length - text.length };
}

const QUOTE = /^ {0,3}> ?(.*)$/;

/** The cells of a line of a table. */
function cellsOf(line) {
    return line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function isTableRule(line) {
    return line.includes('-') && cellsOf(line).every((cell) => /^:?-+:?$/.test(cell));
}

/** `[name]: url "title"`; else null. */
function definitionOf(line) {
    const match = /^ {0,3}\[([^\]]{1,80})\]:\s/.exec(line);
    if (!match) return null;
    const rest = line.slice(match[0].length).trim();
    const end = rest.search(/\s/);
    if (end < 0) return rest === '' ? null : { name: match[1], url: rest };
    const title = rest.slice(end).trim();
    if (title.length < 2 || !'"“('.includes(title[0]) || !'"”)'.includes(title.at(-1))) return null;
    return { name: match[1], url: rest.slice(0, end), title: title.slice(1, -1) };
}

/** `— Title (url)`, as sources are cited; else null. */
function citationOf(line) {
    const text = line.trim();
    const open = text.endsWith(')') ? text.lastIndexOf(' (') : -1;
    if (open < 1 || text.length - open > 2010) return null;
    const url = text.slice(open + 2, -1);
    if (!/^(?:https?:\/|\/)[^\s()]*$/.test(url)) return null;
    const dash = text.startsWith('— ') || text.startsWith('– ') ? text.slice(0, 2) : undefined;
    const label = text.slice(dash?.length ?? 0, open);
    return label.length > 301 || !/^\S/.test(label) ? null : { dash, label, url };
}

/**
 * Renders Markdown.
 *
 * @param options `base` for relative links, `texts` for the few words that are added, `level` of the first heading.
 */
export function renderMarkdown(text, { base, texts, level = 4 }) {
    const context = { base, texts, level, newTab: texts.get('newTab'), definitions: new Map(), budget: { left: BUDGET } };
    const lines = [];
    let fence = null;
    for (const line of clean(text).split('\n')) {
        const opening = fenceOf(line);
        if (fence ? line.trim().startsWith(fence) : opening) fence = fence ? null : opening.mark;
        const definition = fence ? null : definitionOf(line);
        if (definition && safeURL(definition.url, base)) {
            context.definitions.set(definition.name.toLowerCase(), definition);
        } else {
            lines.push(line);
        }
    }
    const fragment = document.createDocumentFragment();
    blocks(fragment, lines, context, 0);
    const sources = [...context.definitions].filter(([name]) => /^\^?\d+$/.test(name)).slice(0, SOURCES_LIMIT);
    if (sources.length > 0) {
        const list = element('ol', { className: 'sources', 'aria-label': texts.get('sources') });
        for (const [name, { url, title }] of sources) {
            list.append(element('li', { value: Number(name.replace('^', '')) }, link(url, title ?? url, context)));
        }
        fragment.append(list);
    }
    return fragment;
}

/** Takes steps from the budget; returns whether it had them left. */
function spend(context, steps) {
    context.budget.left -= steps;
    return context.budget.left >= 0;
}

function blocks(parent, lines, context, depth) {
    let paragraph = [];
    const flush = () => {
        if (paragraph.length > 0) parent.append(paragraphOf(paragraph, context));
        paragraph = [];
    };
    for (let at = 0; at < lines.length; ) {
        const line = lines[at];
        let match;
        if (!spend(context, NODE_COST + line.length)) {
            flush();
            parent.append(element('p', { className: 'plain', dir: 'auto' }, lines.slice(at).join('\n')));
            return;
        }
        if (line.trim() === '') {
            flush();
            at += 1;
        } else if ((match = fenceOf(line))) {
            flush();
            at = code(parent, lines, at, match, context);
        } else if ((match = headingOf(line))) {
            flush();
            const level = headingLevel(match.depth, context);
            parent.append(spans(element(`h${level}`, { dir: 'auto' }), match.text, context));
            at += 1;
        } else if (isRule(line)) {
            flush();
            parent.append(element('hr'));
            at += 1;
        } else if (QUOTE.test(line) && depth < DEPTH_LIMIT) {
            flush();
            const inner = [];
            for (; at < lines.length && (match = QUOTE.exec(lines[at])); at += 1) inner.push(match[1]);
            const quote = element('blockquote', { dir: 'auto' });
            blocks(quote, inner, context, depth + 1);
            parent.append(quote);
        } else if ((match = itemOf(line)) && depth < DEPTH_LIMIT && (paragraph.length === 0 || !match.number || match.number === '1')) {
            flush();
            at = list(parent, lines, at, context, depth);
        } else if (line.includes('|') && paragraph.length === 0 && isTableRule(lines[at + 1] ?? '')) {
            flush();
            at = table(parent, lines, at, context);
        } else {
            paragraph.push(line);
            at += 1;
        }
    }
    flush();
}

/** Headings begin at the context's level and skip none, whatever the text does. */
function headingLevel(depth, context) {
    context.top = Math.min(context.top ?? depth, depth);
    context.last = Math.min(6, context.level + depth - context.top, (context.last ?? context.level - 1) + 1);
    return context.last;
}

function paragraphOf(lines, context) {
    const paragraph = element('p', { dir: 'auto' });
    const text = lines.join('\n');
    if (text.length > INLINE_LIMIT) {
        paragraph.append(text);
        return paragraph;
    }
    // Marks may span lines, but a line that cites a source stands for itself.
    let pending = [];
    const flush = () => {
        if (pending.length === 0) return;
        if (paragraph.hasChildNodes()) paragraph.append(element('br'));
        spans(paragraph, pending.join('\n'), context);
        pending = [];
    };
    for (const line of lines) {
        const citation = citationOf(line);
        if (citation?.dash && safeURL(citation.url, context.base)) {
            flush();
            if (paragraph.hasChildNodes()) paragraph.append(element('br'));
            paragraph.append(element('cite', { dir: 'auto' }, citation.dash, link(citation.url, citation.label, context)));
        } else {
            pending.push(line);
        }
    }
    flush();
    return paragraph;
}

function code(parent, lines, start, { mark, language }, context) {
    const text = [];
    let at = start + 1;
    for (; at < lines.length && !lines[at].trim().startsWith(mark); at += 1) text.push(lines[at]);
    parent.append(codeBlock(text.join('\n'), context.texts, language.slice(0, 40)));
    return at + 1;
}

/** A block of code with a button that copies it. */
export function codeBlock(text, texts, label = '') {
    const pre = element('pre', { dir: 'ltr', tabIndex: 0 }, element('code', {}, text));
    if (label) pre.setAttribute('aria-label', label);
    return element('div', { className: 'code' }, pre, copyButton(() => text, texts));
}

/** A button that copies a text and says so. */
export function copyButton(text, texts, label = texts.get('copy')) {
    const button = element('button', { type: 'button', className: 'quiet copy' }, label);
    button.addEventListener('click', async () => {
        await copy(text(), button);
        button.textContent = texts.get('copied');
        setTimeout(() => (button.textContent = label), 1500);
    });
    return button;
}

async function copy(text, near) {
    try {
        await navigator.clipboard.writeText(text);
    } catch {
        // Without a secure context there is only the old way.
        const area = element('textarea', { value: text, className: 'hidden', readOnly: true });
        near.after(area);
        area.select();
        document.execCommand('copy');
        area.remove();
        near.focus();
    }
}

function list(parent, lines, start, context, depth) {
    const { indent, number } = itemOf(lines[start]);
    const isOrdered = number !== undefined;
    const node = element(isOrdered ? 'ol' : 'ul', { dir: 'auto' });
    if (isOrdered && number !== '1') node.start = Number(number);
    let at = start;
    while (at < lines.length) {
        const match = itemOf(lines[at]);
        if (!match || match.indent > indent + 1 || match.indent < indent || (match.number !== undefined) !== isOrdered) break;
        if (!spend(context, NODE_COST)) break;
        const inner = [match.text];
        for (at += 1; at < lines.length; at += 1) {
            const line = lines[at];
            const depthOfLine = line.search(/\S/);
            const continues = depthOfLine < 0
                ? itemOf(lines[at + 1] ?? '') || /^\s{2,}\S/.test(lines[at + 1] ?? '')
                : depthOfLine > indent + 1 || (!itemOf(line) && inner.at(-1).trim() !== '' && !headingOf(line) && !fenceOf(line));
            if (!continues) break;
            inner.push(line.slice(Math.min(match.column, Math.max(depthOfLine, 0))));
        }
        node.append(item(inner, context, depth));
    }
    parent.append(node);
    return at;
}

function item(lines, context, depth) {
    const node = element('li');
    while (lines.length > 1 && lines.at(-1).trim() === '') lines.pop();
    const citation = lines.length === 1 ? citationOf(lines[0]) : null;
    if (citation && !citation.label.includes('](') && safeURL(citation.url, context.base)) {
        node.append(link(citation.url, citation.label, context));
    } else if (lines.length === 1) {
        spans(node, lines[0], context);
    } else {
        blocks(node, lines, context, depth + 1);
        const only = node.firstElementChild;
        // A tight item has no paragraph of its own.
        if (only?.localName === 'p' && !lines.includes('')) only.replaceWith(...only.childNodes);
    }
    return node;
}

function table(parent, lines, start, context) {
    const head = cellsOf(lines[start]);
    spend(context, NODE_COST * head.length);
    const body = element('tbody');
    let at = start + 2;
    for (; at < lines.length && lines[at].includes('|') && lines[at].trim() !== ''; at += 1) {
        const cells = cellsOf(lines[at]).slice(0, head.length);
        if (!spend(context, NODE_COST * cells.length)) break;
        const row = element('tr');
        for (const cell of cells) row.append(spans(element('td', { dir: 'auto' }), cell, context));
        body.append(row);
    }
    const row = element('tr');
    for (const cell of head) row.append(spans(element('th', { scope: 'col', dir: 'auto' }), cell, context));
    const node = element('table', {}, element('thead', {}, row), body);
    parent.append(element('div', { className: 'scroll', tabIndex: 0 }, node));
    return at;
}

// MARK: Within a line

function spans(parent, text, context, depth = 0) {
    let plain = '';
    const flush = () => {
        if (plain !== '') parent.append(plain);
        plain = '';
    };
    const append = (node, end) => {
        spend(context, NODE_COST);
        flush();
        parent.append(node);
        return end;
    };
    for (let at = 0; at < text.length; ) {
        if (context.budget.left < 0) {
            plain += text.slice(at);
            break;
        }
        const next = depth < DEPTH_LIMIT ? mark(text, at, context, depth) : null;
        if (next) at = append(next.node, next.end);
        else if (text[at] === '\\' && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? '')) {
            plain += text[at + 1];
            at += 2;
        } else if (text[at] === '\n') {
            plain = plain.trimEnd();
            at = append(element('br'), at + 1);
        } else {
            plain += text[at];
            at += 1;
        }
    }
    flush();
    return parent;
}

/** Returns the mark that begins at a position, as a node and its end; null when none does. */
function mark(text, at, context, depth) {
    switch (text[at]) {
        case '`': return codeSpan(text, at, context);
        case '*':
        case '_':
        case '~': return emphasis(text, at, context, depth);
        case '[': return bracket(text, at, context, depth);
        case '!': return text[at + 1] === '[' ? image(text, at, context) : null;
        case '<': return angle(text, at, context);
        case 'h': return bareURL(text, at, context);
        case '(': return path(text, at, context);
        default: return null;
    }
}

function codeSpan(text, at, context) {
    const ticks = /^`+/.exec(text.slice(at, at + 20))[0];
    const reach = text.slice(0, at + REACH);
    const end = reach.indexOf(ticks, at + ticks.length);
    spend(context, (end < 0 ? reach.length : end) - at);
    if (end < 0) return null;
    const inner = text.slice(at + ticks.length, end).replaceAll('\n', ' ');
    return { node: element('code', { dir: 'ltr' }, inner.trim() || inner), end: end + ticks.length };
}

function emphasis(text, at, context, depth) {
    const character = text[at];
    const isDouble = text[at + 1] === character;
    if (character === '~' && !isDouble) return null;
    const delimiter = isDouble ? character + character : character;
    const start = at + delimiter.length;
    if (/^\s?$/.test(text[start] ?? '')) return null;
    const isWord = (index) => /[\p{L}\p{N}]/u.test(text[index] ?? '');
    if (character === '_' && isWord(at - 1)) return null;
    const reach = text.slice(0, start + REACH);
    let place = start;
    for (let end = reach.indexOf(delimiter, start); end >= 0; end = reach.indexOf(delimiter, end + 1)) {
        if (!spend(context, end - place + 1)) return null;
        place = end;
        if (/\s/.test(text[end - 1]) || end === start) continue;
        if (character === '_' && isWord(end + delimiter.length)) continue;
        // A single mark does not end in the middle of a double one.
        if (!isDouble && (text[end + 1] === character || text[end - 1] === character)) continue;
        const name = character === '~' ? 's' : isDouble ? 'strong' : 'em';
        return { node: spans(element(name), text.slice(start, end), context, depth + 1), end: end + delimiter.length };
    }
    spend(context, reach.length - place);
    return null;
}

/** `[label](url)`, `[label][name]` and `[1]`. */
function bracket(text, at, context, depth) {
    let open = 0;
    let close = -1;
    const limit = Math.min(text.length, at + REACH);
    for (let index = at; index < limit; index += 1) {
        if (text[index] === '\\') index += 1;
        else if (text[index] === '[') open += 1;
        else if (text[index] === ']' && (open -= 1) === 0) {
            close = index;
            break;
        }
    }
    spend(context, (close < 0 ? limit : close) - at);
    if (close < 0) return null;
    const label = text.slice(at + 1, close);
    const rest = text.slice(close + 1, close + 1 + REACH);
    const inline = /^\(\s{0,9}<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s{1,9}["'(][^\n]{0,300}?["')])?\s{0,9}\)/.exec(rest);
    spend(context, inline?.[0].length ?? (rest[0] === '(' ? rest.length : 0));
    if (inline) return { node: linked(inline[1], label, context, depth), end: close + 1 + inline[0].length };
    const reference = /^\[([^\]]{0,80})\]/.exec(rest);
    const definition = context.definitions.get((reference?.[1] || label).toLowerCase());
    if (!definition) return null;
    const isNumber = /^\^?\d+$/.test(label);
    const shown = isNumber ? `[${label.replace('^', '')}]` : label;
    const node = isNumber
        ? element('sup', {}, link(definition.url, document.createTextNode(shown), context))
        : linked(definition.url, shown, context, depth);
    return { node, end: close + 1 + (reference?.[0].length ?? 0) };
}

function linked(url, label, context, depth) {
    const inner = document.createElement('bdi');
    // A link within a link is not a link.
    const withoutLinks = { ...context, isWithinLink: true };
    if (context.isWithinLink) return spans(inner, label, withoutLinks, depth + 1);
    return link(url, spans(inner, label, withoutLinks, depth + 1), context);
}

/** Returns a link in place of an image. Images are never loaded: a request would reveal the reader to another host. */
function image(text, at, context) {
    const match = /^!\[([^\]]{0,300})\]\(\s{0,9}([^\s()]{1,2000})(?:\s[^)]{0,300})?\)/.exec(text.slice(at, at + REACH));
    if (!match) return null;
    const label = `${context.texts.get('image')}: ${match[1] || match[2]}`;
    return { node: context.isWithinLink ? element('bdi', {}, label) : link(match[2], label, context), end: at + match[0].length };
}

function angle(text, at, context) {
    const match = /^<(https?:\/\/[^\s<>]{1,2000})>/.exec(text.slice(at, at + REACH));
    if (!match || context.isWithinLink) return null;
    return { node: link(match[1], match[1], context), end: at + match[0].length };
}

function bareURL(text, at, context) {
    if (context.isWithinLink || /[\p{L}\p{N}]/u.test(text[at - 1] ?? '')) return null;
    const match = /^https?:\/\/[^\s<>"“”]{1,2000}/.exec(text.slice(at, at + REACH));
    if (!match || !spend(context, match[0].length)) return null;
    let url = withoutEnd(match[0], '.,;:!?\'"*_~]');
    if (url.endsWith(')') && !url.includes('(')) url = withoutEnd(url.slice(0, -1), '.,;:!?');
    return safeURL(url, context.base) ? { node: link(url, url, context), end: at + url.length } : null;
}

/** A text without the characters at its end that are among `dropped`. */
function withoutEnd(text, dropped) {
    let end = text.length;
    while (end > 0 && dropped.includes(text[end - 1])) end -= 1;
    return text.slice(0, end);
}

/** A path in parentheses, as sources are cited: `Service Levels (/ai/document/11/)`. */
function path(text, at, context) {
    if (context.isWithinLink) return null;
    const match = /^\((\/[^\s()/][^\s()]{0,500})\)/.exec(text.slice(at, at + 600));
    if (!match) return null;
    return { node: element('span', {}, '(', link(match[1], match[1], context), ')'), end: at + match[0].length };
}
