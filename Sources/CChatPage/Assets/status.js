// The operators' view: begins with the samples that the gateway has kept, polls readiness and metrics, and draws both.

const INTERVAL = 2000;
/** Seconds that the charts show; the gateway keeps samples of as many. */
const WINDOW = 900;
/** Largest number of lines in one chart; further ones are left out. */
const LINES = 6;
const SVG = 'http://www.w3.org/2000/svg';
const byId = (id) => document.getElementById(id);

// MARK: Metrics

/** Prometheus' text format as `Map name → [{ labels, value }]`. */
function parseMetrics(text) {
    const families = new Map();
    for (const line of text.split('\n')) {
        const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
        if (!match) continue;
        const labels = {};
        for (const [, name, value] of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
            labels[name] = value.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character));
        }
        if (!families.has(match[1])) families.set(match[1], []);
        families.get(match[1]).push({ labels, value: Number(match[3].replace('Inf', 'Infinity')) });
    }
    return families;
}

class Sample {
    constructor(text, time) {
        this.time = time;
        this.families = parseMetrics(text);
    }

    all(name, labels = {}) {
        return (this.families.get(name) ?? []).filter((entry) => Object.entries(labels).every(([key, value]) => entry.labels[key] === value));
    }

    sum(name, labels) {
        return this.all(name, labels).reduce((sum, { value }) => sum + value, 0);
    }
}

/** Returns a quantile of the durations between two samples, from the histogram's buckets; null without any. */
function quantile(now, before, labels, share) {
    const buckets = now.all('gateway_request_duration_seconds_bucket', labels)
        .map(({ labels: { le, ...rest }, value }) => {
            const past = before?.all('gateway_request_duration_seconds_bucket', { ...rest, le })[0]?.value ?? 0;
            return { limit: le === '+Inf' ? Infinity : Number(le), count: value - past };
        });
    const merged = new Map();
    for (const { limit, count } of buckets) merged.set(limit, (merged.get(limit) ?? 0) + count);
    const sorted = [...merged].sort(([a], [b]) => a - b);
    const total = sorted.at(-1)?.[1] ?? 0;
    if (total <= 0) return null;
    let lower = 0;
    let below = 0;
    for (const [limit, count] of sorted) {
        if (count >= total * share) {
            if (limit === Infinity) return lower;
            return lower + ((limit - lower) * (total * share - below)) / Math.max(1, count - below);
        }
        lower = limit;
        below = count;
    }
    return lower;
}

// MARK: Drawing

function node(name, properties = {}, ...children) {
    const result = document.createElement(name);
    Object.assign(result, properties);
    result.append(...children);
    return result;
}

function svgNode(name, attributes) {
    const result = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) result.setAttribute(key, value);
    return result;
}

/** A drawing of the lines over the last quarter of an hour, each from 0 to the largest value of all. */
function drawing(lines, label, height) {
    const svg = svgNode('svg', { viewBox: `0 0 ${WINDOW} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label });
    const top = largest(lines);
    lines.forEach(({ values }, index) => {
        for (const piece of pieces(values)) {
            const points = piece.map(([time, value]) => {
                const y = height - 1 - (value / top) * (height - 2);
                return `${(WINDOW - (clock() - time)).toFixed(1)},${y.toFixed(2)}`;
            });
            svg.append(svgNode('polyline', { points: points.join(' '), class: `line-${index}` }));
        }
    });
    return svg;
}

/** The largest value of all lines; 1 where all are 0. */
const largest = (lines) => Math.max(0, ...lines.flatMap(({ values }) => values.map(([, value]) => value ?? 0))) || 1;

/** The runs of values between those that are missing. */
function pieces(values) {
    const result = [[]];
    for (const point of values) {
        if (point[1] === null) result.push([]);
        else result.at(-1).push(point);
    }
    return result.filter((piece) => piece.length > 0);
}

const sparkline = (values, label) => drawing([{ values }], label, 20);

/** A chart with its axes: lines by name, the largest value with its unit, and the time. */
function chart(title, lines, show) {
    const shown = lines.filter(({ values }) => values.length > 0).slice(0, LINES);
    const figure = node('figure', { className: 'chart' }, node('figcaption', {}, title));
    const names = shown.map(({ name }) => name).join(', ');
    const times = node('div', { className: 'times' }, node('span', {}, `${WINDOW / 60} min ago`), node('span', {}, 'now'));
    const scale = node('div', { className: 'scale' }, node('span', {}, show(largest(shown))), node('span', {}, '0'));
    const plot = node('div', { className: 'plot' });
    plot.append(drawing(shown, `${title}, last ${WINDOW / 60} minutes: ${names || 'nothing'}`, 60));
    figure.append(node('div', { className: 'axes' }, scale, plot), times);
    if (shown.length > 1 || shown[0]?.name) {
        figure.append(node('ul', { className: 'legend' }, ...shown.map(({ name, values }, index) => {
            const last = values.at(-1)?.[1] ?? null;
            return node('li', {}, node('i', { className: `line-${index}` }), `${name}: ${last === null ? '–' : show(last)}`);
        })));
    }
    return figure;
}

const number = new Intl.NumberFormat();
const rate = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const megabytes = (bytes) => `${number.format(Math.round(bytes / 1048576))}\u00a0MiB`;
const milliseconds = (seconds) => (seconds === null ? '–' : `${rate.format(seconds * 1000)}\u00a0ms`);

/** Values by name as `[time, value]`, oldest first, of the time that is shown. */
const series = new Map();
/** Seconds by the gateway's clock. */
let clock = () => Date.now() / 1000;

function remember(name, time, value) {
    const values = series.get(name) ?? [];
    values.push([time, value]);
    while (values.length > 0 && values[0][0] < time - WINDOW) values.shift();
    series.set(name, values);
}

const valuesOf = (name) => series.get(name) ?? [];

/** Returns the lines whose names begin with a prefix, named by the rest. */
function linesOf(prefix) {
    return [...series].filter(([name]) => name.startsWith(prefix))
        .map(([name, values]) => ({ name: name.slice(prefix.length), values }))
        .sort((a, b) => a.name.localeCompare(b.name));
}

function card(title, value, { state = '', spark, note = '' } = {}) {
    const result = node('div', { className: 'card' }, node('span', {}, title), node('strong', { className: state }, value));
    if (note) result.append(node('span', { className: 'hint' }, note));
    if (spark) result.append(sparkline(spark, `${title}, last ${WINDOW / 60} minutes`));
    return result;
}

function row(...cells) {
    const result = node('tr');
    cells.forEach((cell, index) => {
        const content = typeof cell === 'number' ? number.format(cell) : cell;
        const isNumber = typeof cell === 'number' || /^[\d–]/.test(cell);
        const element = node(index === 0 ? 'th' : 'td', { className: isNumber && index > 0 ? 'number' : '' }, content);
        if (index === 0) element.scope = 'row';
        result.append(element);
    });
    return result;
}

function fill(id, rows, columns, empty) {
    byId(id).replaceChildren(...(rows.length > 0 ? rows : [node('tr', {}, node('td', { colSpan: columns, className: 'hint' }, empty))]));
}

// MARK: Contents

let first = null;
let previous = null;
let version = '';
const lastSeen = new Map();

/** Adds the values of a sample, and its differences from the one before, to the series. */
function take(now, before) {
    const { time } = now;
    const elapsed = before ? time - before.time : 0;
    const perSecond = (current, past) => (elapsed > 0 ? Math.max(0, current - past) / elapsed : 0);
    const ofOutcome = (sample, outcome) => sample?.sum('gateway_requests_total', { outcome }) ?? 0;
    const outcomes = new Set(now.all('gateway_requests_total').map(({ labels }) => labels.outcome));
    outcomes.delete('ok');
    if (elapsed > 0) {
        remember('requests', time, perSecond(now.sum('gateway_requests_total'), before.sum('gateway_requests_total')));
        let errors = 0;
        for (const outcome of outcomes) {
            const value = perSecond(ofOutcome(now, outcome), ofOutcome(before, outcome));
            errors += value;
            remember(`error ${outcome}`, time, value);
        }
        remember('errors', time, errors);
        remember('p99', time, quantile(now, before, {}, 0.99));
        for (const type of typesOf(now)) {
            const labels = { type };
            const count = now.sum('gateway_request_duration_seconds_count', labels) - before.sum('gateway_request_duration_seconds_count', labels);
            const sum = now.sum('gateway_request_duration_seconds_sum', labels) - before.sum('gateway_request_duration_seconds_sum', labels);
            remember(`mean ${type}`, time, count > 0 ? sum / count : null);
        }
    }
    remember('connections', time, now.sum('gateway_connections'));
    remember('sessions', time, now.sum('gateway_sessions'));
    for (const { labels, value } of now.all('gateway_upstream_calls_in_flight')) remember(`upstream ${labels.upstream}`, time, value);
}

const typesOf = (sample) => [...new Set(sample.all('gateway_request_duration_seconds_count').map(({ labels }) => labels.type))];

function show(readiness, endpoints, now) {
    const elapsed = previous ? now.time - previous.time : 0;
    const since = (name, labels) => now.sum(name, labels) - (previous?.sum(name, labels) ?? now.sum(name, labels));
    const perSecond = (name, labels) => (elapsed > 0 ? Math.max(0, since(name, labels)) / elapsed : 0);
    take(now, previous);
    const latest = (name) => valuesOf(name).at(-1)?.[1] ?? null;
    const requests = latest('requests') ?? 0;
    const errors = latest('errors') ?? 0;
    const isReady = readiness.status === 'ready';
    const configuration = readiness.config_error ? 'last reload failed' : `version ${readiness.config_version}`;
    byId('cards').replaceChildren(
        card('Health', isReady ? 'ready' : 'not ready', { state: isReady ? 'good' : 'bad', note: (readiness.reasons ?? []).join(', ') || version }),
        card('Configuration', configuration, { state: readiness.config_error ? 'bad' : '', note: readiness.config_error ?? '' }),
        card('Requests per second', rate.format(requests), { spark: valuesOf('requests') }),
        card('Errors per second', rate.format(errors), { state: errors > 0 ? 'bad' : '', spark: valuesOf('errors') }),
        card('Latency p99', milliseconds(latest('p99')), { spark: valuesOf('p99') }),
        card('Connections', number.format(now.sum('gateway_connections')), { note: `${number.format(now.sum('gateway_requests_in_flight'))} requests in flight`, spark: valuesOf('connections') }),
        card('Memory', megabytes(now.sum('gateway_memory_used_bytes')), { state: since('gateway_memory_refusals_total') > 0 ? 'bad' : '', note: `of ${megabytes(now.sum('gateway_memory_limit_bytes'))}, ${number.format(now.sum('gateway_memory_refusals_total'))} refusals` }),
        card('Sessions', number.format(now.sum('gateway_sessions')), { note: `${number.format(now.sum('gateway_upstream_connections'))} upstream connections`, spark: valuesOf('sessions') }),
    );
    if (readiness.shared_limits) {
        const { server, available } = readiness.shared_limits;
        byId('cards').append(card('Shared limits', available ? 'available' : 'away', { state: available ? 'good' : 'bad', note: server }));
    }
    fill('upstreams', Object.entries(readiness.upstreams ?? {}).map(([name, upstream]) => showUpstream(name, upstream, now)), 7, 'None.');
    const perSecondText = (value) => `${rate.format(value)}/s`;
    byId('charts').replaceChildren(
        chart('Requests per second', [{ name: '', values: valuesOf('requests') }], perSecondText),
        chart('Latency p99', [{ name: '', values: valuesOf('p99') }], milliseconds),
        chart('Errors per second, by label', linesOf('error '), perSecondText),
        chart('Calls under way, by upstream', linesOf('upstream '), (value) => number.format(value)),
    );
    byId('endpoints-section').hidden = endpoints.length === 0;
    fill('endpoints', endpoints.flatMap((endpoint) => showEndpoint(endpoint, now)), 7, 'None.');
    fill('types', typesOf(now).map((type) => showType(type, now, perSecond)), 6, 'None.');
    fill('errors', showErrors(now), 6, 'None.');
}

function showUpstream(name, upstream, now) {
    const labels = { upstream: name };
    const good = upstream.reachable && !upstream.failing;
    const state = node('span', { className: good ? 'good' : 'bad' }, good ? 'reachable' : upstream.problem ?? 'not reached yet');
    const phase = now.all('gateway_upstream_breaker_state', labels)[0]?.value ?? 0;
    const breaker = node('span', { className: phase > 0 ? 'bad' : '' }, ['closed', 'half-open', 'open'][phase] ?? '–');
    const drift = (upstream.drift ?? []).length === 0
        ? 'none'
        : node('ul', {}, ...upstream.drift.map(({ message }) => node('li', {}, message)));
    return row(
        name, state, now.sum('gateway_sessions', labels), now.sum('gateway_handshakes_total', labels),
        now.sum('gateway_upstream_replays_total', labels), breaker, drift,
    );
}

/** Lists of tools that are open: they stay so when the table is drawn anew. */
const opened = new Set();

function toolList(key, names) {
    const list = node('details', { open: opened.has(key) }, node('summary', {}, number.format(names.length)), node('p', {}, names.join(', ') || 'None.'));
    list.addEventListener('toggle', () => (list.open ? opened.add(key) : opened.delete(key)));
    return list;
}

/** A row for each upstream of an endpoint; the endpoint's own numbers stand in the first. */
function showEndpoint(endpoint, now) {
    return endpoint.upstreams.map((upstream, index) => {
        const labels = { endpoint: endpoint.path, upstream: upstream.name };
        const requests = now.all('gateway_endpoint_requests_total', labels);
        const count = (list) => list.reduce((sum, { value }) => sum + value, 0);
        const failed = requests.filter(({ labels: { outcome } }) => !['ok', 'input_required', 'cancelled'].includes(outcome));
        const tools = toolList(JSON.stringify(labels), upstream.tools);
        return row(
            endpoint.path, upstream.prefix ? `${upstream.name} (${upstream.prefix})` : upstream.name,
            upstream.problem ? node('span', { className: 'bad' }, upstream.problem) : tools, count(requests), count(failed),
            index === 0 ? endpoint.sessions : '', index === 0 ? endpoint.heldQuestions : '',
        );
    });
}

function showType(type, now, perSecond) {
    const labels = { type };
    const line = sparkline(valuesOf(`mean ${type}`), `Mean latency of ${type}, last ${WINDOW / 60} minutes`);
    return row(
        type, now.sum('gateway_request_duration_seconds_count', labels),
        rate.format(perSecond('gateway_request_duration_seconds_count', labels)),
        milliseconds(quantile(now, null, labels, 0.5)), milliseconds(quantile(now, null, labels, 0.99)), line,
    );
}

function showErrors(now) {
    return now.all('gateway_requests_total')
        .filter(({ labels, value }) => labels.outcome !== 'ok' && value > 0)
        .map(({ labels, value }) => {
            const key = JSON.stringify(labels);
            if (value > (previous?.sum('gateway_requests_total', labels) ?? value)) lastSeen.set(key, new Date());
            return { labels, value, recent: value - first.sum('gateway_requests_total', labels), seen: lastSeen.get(key) };
        })
        .sort((a, b) => (b.seen ?? 0) - (a.seen ?? 0) || b.value - a.value)
        .map(({ labels, value, recent, seen }) => row(
            labels.outcome, labels.type, node('span', {}, labels.status), recent, value,
            seen ? node('time', { dateTime: seen.toISOString() }, seen.toLocaleTimeString()) : 'before this page was opened',
        ));
}

// MARK: Polling

async function poll() {
    try {
        const [ready, metrics, state] = await Promise.all(['readyz', 'metrics', 'status/endpoints'].map((path) => fetch(path, { cache: 'no-store' })));
        const sample = new Sample(await metrics.text(), clock());
        first ??= sample;
        show(await ready.json(), (await state.json()).endpoints, sample);
        previous = sample;
        byId('problem').textContent = '';
        document.title = `${ready.ok ? '' : '⚠ '}Status · Chat gateway`;
    } catch {
        byId('problem').textContent = 'The gateway does not answer.';
        document.title = '⚠ Status · Chat gateway';
    }
}

/** Loads the samples that the gateway has kept, and its clock. */
async function loadHistory() {
    const { now, samples } = await (await fetch('status/history', { cache: 'no-store' })).json();
    const loaded = performance.now() / 1000;
    clock = () => now + performance.now() / 1000 - loaded;
    let before = null;
    for (const { at, metrics } of samples) {
        const sample = new Sample(metrics, at);
        take(sample, before);
        before = sample;
    }
}

let timer = setInterval(poll, INTERVAL);
byId('pause').addEventListener('click', ({ target }) => {
    const isPaused = timer !== null;
    if (isPaused) {
        clearInterval(timer);
        timer = null;
    } else {
        timer = setInterval(poll, INTERVAL);
        poll();
    }
    target.setAttribute('aria-pressed', String(isPaused));
});

fetch('version').then((response) => response.json()).then((value) => (version = `${value.name} ${value.version}`)).catch(() => {});
loadHistory().catch(() => {}).then(poll);
