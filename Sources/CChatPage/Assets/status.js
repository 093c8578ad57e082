// The operators' view: polls readiness and metrics, and draws what changed.

const INTERVAL = 2000;
const POINTS = 60;
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
    constructor(text) {
        this.time = performance.now() / 1000;
        this.families = parseMetrics(text);
    }

    all(name, labels = {}) {
        return (this.families.get(name) ?? []).filter((entry) => Object.entries(labels).every(([key, value]) => entry.labels[key] === value));
    }

    sum(name, labels) {
        return this.all(name, labels).reduce((sum, { value }) => sum + value, 0);
    }
}

/** The quantile of what was observed between two samples, from the histogram's buckets; null without observations. */
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

function sparkline(values, label) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${POINTS - 1} 20`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', label);
    const top = Math.max(...values, 1e-9);
    const line = document.createElementNS(SVG, 'polyline');
    const points = values.map((value, index) => `${POINTS - values.length + index},${(19 - (value / top) * 18).toFixed(2)}`);
    line.setAttribute('points', points.join(' '));
    svg.append(line);
    return svg;
}

const number = new Intl.NumberFormat();
const rate = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const milliseconds = (seconds) => (seconds === null ? '–' : `${rate.format(seconds * 1000)}\u00a0ms`);

const series = new Map();

function remember(name, value) {
    const values = series.get(name) ?? [];
    values.push(value);
    if (values.length > POINTS) values.shift();
    series.set(name, values);
    return values;
}

function card(title, value, { state = '', spark, note = '' } = {}) {
    const result = node('div', { className: 'card' }, node('span', {}, title), node('strong', { className: state }, value));
    if (note) result.append(node('span', { className: 'hint' }, note));
    if (spark) result.append(sparkline(spark, `${title}, last ${POINTS * INTERVAL / 1000} s`));
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

// MARK: What is shown

let first = null;
let previous = null;
let version = '';
const lastSeen = new Map();

function show(readiness, now) {
    const elapsed = previous ? now.time - previous.time : 0;
    const since = (name, labels) => now.sum(name, labels) - (previous?.sum(name, labels) ?? now.sum(name, labels));
    const perSecond = (name, labels) => (elapsed > 0 ? Math.max(0, since(name, labels)) / elapsed : 0);
    const failed = (sample) => (sample?.all('gateway_requests_total') ?? [])
        .filter(({ labels }) => labels.outcome !== 'ok').reduce((sum, { value }) => sum + value, 0);
    const p99 = quantile(now, previous, {}, 0.99);
    const requests = perSecond('gateway_requests_total');
    const errors = elapsed > 0 ? Math.max(0, failed(now) - failed(previous)) / elapsed : 0;
    const isReady = readiness.status === 'ready';
    const configuration = readiness.config_error ? 'last reload failed' : `version ${readiness.config_version}`;
    byId('cards').replaceChildren(
        card('Health', isReady ? 'ready' : 'not ready', { state: isReady ? 'good' : 'bad', note: (readiness.reasons ?? []).join(', ') || version }),
        card('Configuration', configuration, { state: readiness.config_error ? 'bad' : '', note: readiness.config_error ?? '' }),
        card('Requests per second', rate.format(requests), { spark: remember('requests', requests) }),
        card('Errors per second', rate.format(errors), { state: errors > 0 ? 'bad' : '', spark: remember('errors', errors) }),
        card('Latency p99', milliseconds(p99), { spark: remember('p99', p99 ?? 0) }),
        card('Connections', number.format(now.sum('gateway_connections')), { note: `${number.format(now.sum('gateway_requests_in_flight'))} requests in flight`, spark: remember('connections', now.sum('gateway_connections')) }),
        card('Sessions', number.format(now.sum('gateway_sessions')), { note: `${number.format(now.sum('gateway_upstream_connections'))} upstream connections`, spark: remember('sessions', now.sum('gateway_sessions')) }),
    );
    fill('upstreams', Object.entries(readiness.upstreams ?? {}).map(([name, upstream]) => showUpstream(name, upstream, now)), 7, 'None.');
    const types = [...new Set(now.all('gateway_request_duration_seconds_count').map(({ labels }) => labels.type))];
    fill('types', types.map((type) => showType(type, now, perSecond, since)), 6, 'None.');
    fill('errors', showErrors(now), 6, 'None.');
}

function showUpstream(name, upstream, now) {
    const labels = { upstream: name };
    const good = upstream.reachable && !upstream.failing;
    const state = node('span', { className: good ? 'good' : 'bad' }, good ? 'reachable' : upstream.problem ?? 'not reached yet');
    const phase = now.all('gateway_upstream_breaker_state', labels)[0]?.value ?? 0;
    const breaker = node('span', { className: phase > 0 ? 'bad' : '' }, ['closed', 'half-open', 'open'][phase] ?? '–');
    const drift = upstream.drift.length === 0
        ? 'none'
        : node('ul', {}, ...upstream.drift.map(({ message }) => node('li', {}, message)));
    return row(
        name, state, now.sum('gateway_sessions', labels), now.sum('gateway_handshakes_total', labels),
        now.sum('gateway_upstream_replays_total', labels), breaker, drift,
    );
}

function showType(type, now, perSecond, since) {
    const labels = { type };
    const count = since('gateway_request_duration_seconds_count', labels);
    const mean = count > 0 ? since('gateway_request_duration_seconds_sum', labels) / count : 0;
    const line = sparkline(remember(`mean ${type}`, mean), `Mean latency of ${type}`);
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
        const [ready, metrics] = await Promise.all([fetch('readyz', { cache: 'no-store' }), fetch('metrics', { cache: 'no-store' })]);
        const sample = new Sample(await metrics.text());
        first ??= sample;
        show(await ready.json(), sample);
        previous = sample;
        byId('problem').textContent = '';
        document.title = `${ready.ok ? '' : '⚠ '}Status · Chat gateway`;
    } catch {
        byId('problem').textContent = 'The gateway does not answer.';
        document.title = '⚠ Status · Chat gateway';
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
poll();
