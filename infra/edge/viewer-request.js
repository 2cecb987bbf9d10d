import cf from 'cloudfront';

// Decides about /~{token}/v/{video}/{file} and /q/{grant}/v/{video}/{file}, and leaves /v/{video}/{file} for the cache.
// The token is made, and its parts are told, in shared/domain/src/edge_token.rs. What isn't wholly right is refused,
// and nobody learns why. Runtime 2.0 documents no destructuring, no for-of, no ?. and no ??: they are not used here.
const crypto = require('crypto');

const CLAIMS = ['2', '4', '5', '7', '-65537', '-65538', '-65539'];
const VIDEO = '2', EXPIRES_AT = '4', NOT_BEFORE = '5', GRANT = '7';
const ADDRESS = '-65537', COUNTRY = '-65538', USER_AGENT = '-65539';
const LONGEST_TOKEN = 1024;
const ENTRY = /^(k=[a-z0-9]{1,8}:[A-Za-z0-9_-]{43}|(a|[0-9a-f]{13})=[0-9a-f]{8}~[0-9a-f]{8}|[0-9a-f]{13}\.[0-9a-f]{16}~[0-9a-f]{8})$/;

async function handler(event) {
    try {
        const path = await allowed(event);
        if (path) {
            event.request.uri = path;
            event.request.querystring = {};
            return event.request;
        }
    } catch (error) {
        // Closed: a store that can't be read, a bad MAC, anything unforeseen.
    }
    return { statusCode: 403, statusDescription: 'Forbidden', headers: { 'cache-control': { value: 'no-store' } } };
}

// The path for the cache, or nothing.
async function allowed(event) {
    const uri = event.request.uri;
    const parts = /^\/(?:~([0-9a-f]{40})\.([A-Za-z0-9_-]+)|q\/([0-9a-f]{40}))(\/v\/([0-9a-f]{32})(?:\/[A-Za-z0-9._-]+)+)$/.exec(uri);
    if (!parts || /\/\.\.?(\/|$)/.test(parts[4])) return undefined;
    const grant = parts[1] || parts[3];
    const entries = (await cf.kvs().get('r' + grant.slice(0, 3))).split(';');
    if (!entries.every((entry) => ENTRY.test(entry)) || isRevoked(entries, grant)) return undefined;
    if (parts[2] && !isGood(parts[2], grant, parts[5], entries, event)) return undefined;
    return parts[4];
}

// Whether an entry ends this grant: alone, with all of its wallet's, or with all of its shard's, up to an epoch.
function isRevoked(entries, grant) {
    const handle = grant.slice(3, 16), issuedAt = grant.slice(16, 24), mark = grant.slice(16, 32);
    return entries.some((entry) => {
        const all = /^(a|[0-9a-f]{13})=([0-9a-f]{8})~/.exec(entry);
        // Eight hex digits each, so that their order as text is that of the seconds.
        if (all) return (all[1] === 'a' || all[1] === handle) && issuedAt <= all[2];
        return entry.startsWith(handle + '.' + mark + '~');
    });
}

function isGood(text, grant, video, entries, event) {
    const token = Buffer.from(text, 'base64url');
    // One spelling for each token: no padding, no loose bits.
    if (text.length > LONGEST_TOKEN || token.toString('base64url') !== text) return false;
    const id = keyId(token);
    const key = id && entries.find((entry) => entry.startsWith('k=' + id + ':'));
    if (!key) return false;
    // Checks the MAC, and throws when it is another one.
    const claims = cf.cwt.validateToken(token, { key: Buffer.from(key.split(':')[1], 'base64url') }).payload;
    const now = Math.floor(Date.now() / 1000);
    const headers = event.request.headers;
    return Object.keys(claims).every((claim) => CLAIMS.includes(claim))
        && claims[VIDEO] === video
        && hex(claims[GRANT]) === grant
        && Number.isInteger(claims[NOT_BEFORE]) && claims[NOT_BEFORE] <= now
        && Number.isInteger(claims[EXPIRES_AT]) && now < claims[EXPIRES_AT]
        && (claims[ADDRESS] === undefined || isWithin(event.viewer.ip, Buffer.from(claims[ADDRESS])))
        && (claims[COUNTRY] === undefined || claims[COUNTRY] === headers['cloudfront-viewer-country'].value)
        && (claims[USER_AGENT] === undefined || hex(claims[USER_AGENT]) === digest(headers['user-agent'].value));
}

// The key's id, if these bytes have the one form that our tokens have; CBOR would allow others with the same meaning:
// 17([<<{1: 5, 4: 'id'}>>, {}, <<claims of 24 to 255 bytes>>, <<32 bytes>>]), 5 being HMAC 256/256.
function keyId(token) {
    const size = token[7] - 0x40, payload = 8 + size, tag = payload + 3 + token[payload + 2];
    const formed = size >= 1 && size <= 8
        && hex(token.subarray(0, 8)) === hex([0xd1, 0x84, 0x45 + size, 0xa2, 1, 5, 4, 0x40 + size])
        && token[payload] === 0xa0 && token[payload + 1] === 0x58
        && token[tag] === 0x58 && token[tag + 1] === 32 && token.length === tag + 34;
    const id = formed ? token.toString('utf8', 8, payload) : '';
    return /^[a-z0-9]+$/.test(id) ? id : undefined;
}

// Whether the address begins as the prefix does: a byte with the number of bits, then 4 or 16 bytes.
function isWithin(text, prefix) {
    const address = addressBytes(text);
    return address.length === prefix.length - 1 && address.every((byte, at) => {
        const rest = 8 - Math.min(Math.max(prefix[0] - 8 * at, 0), 8);
        return byte >> rest === prefix[at + 1] >> rest;
    });
}

// Four or sixteen bytes of an address in any spelling of RFC 4291; one mapped into IPv6 is an IPv4 one. Else throws.
function addressBytes(text) {
    let plain = text.split('%')[0];
    const dotted = /^(.*:)?(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$/.exec(plain);
    if (dotted) {
        const four = dotted.slice(2).map(Number);
        if (four.some((byte) => byte > 255)) throw new Error('address');
        if (!dotted[1]) return four;
        plain = dotted[1] + hex(four.slice(0, 2)) + ':' + hex(four.slice(2));
    }
    const halves = plain.split('::').map((half) => (half === '' ? [] : half.split(':')));
    const written = halves.reduce((sum, half) => sum + half.length, 0);
    if (halves.length === 1 ? written !== 8 : halves.length !== 2 || written > 7) throw new Error('address');
    const groups = halves[0].concat(new Array(8 - written).fill('0'), halves.length === 2 ? halves[1] : []);
    if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) throw new Error('address');
    const bytes = Array.prototype.concat.apply([], groups.map((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]));
    return bytes.every((byte, at) => at > 11 || byte === (at < 10 ? 0 : 255)) ? bytes.slice(12) : bytes;
}

function digest(text) {
    return crypto.createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function hex(bytes) {
    return Buffer.from(bytes).toString('hex');
}
