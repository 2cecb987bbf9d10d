// What runtime 2.0 documents and QuickJS doesn't have: Buffer, the modules, and a clock that stands still. It is given
// `host`, whose functions take bytes as strings of code points below 256, and gives back what is called from outside.
(host) => {
    const latin = (bytes) => {
        if (bytes.length <= 4096) return String.fromCharCode.apply(null, bytes);
        let text = '';
        for (let at = 0; at < bytes.length; at++) text += String.fromCharCode(bytes[at]);
        return text;
    };
    const asBuffer = (bytes) => Object.setPrototypeOf(bytes, Buffer.prototype);
    const latinOf = (value) => latin(typeof value === 'string' ? host.decode(value, 'utf8') : value);

    class Buffer extends Uint8Array {
        static from(value, offset, length) {
            if (typeof value === 'string') return asBuffer(host.decode(value, offset ?? 'utf8'));
            if (value instanceof ArrayBuffer) return new Buffer(value, offset, length);
            if (!Array.isArray(value) && !ArrayBuffer.isView(value)) throw new TypeError('not a value for Buffer.from');
            const buffer = new Buffer(value.length);
            buffer.set(value);
            return buffer;
        }
        static alloc(size, fill = 0, encoding = 'utf8') {
            const buffer = new Buffer(size);
            const bytes = typeof fill === 'string' ? Buffer.from(fill, encoding) : fill;
            for (let at = 0; bytes.length && at < size; at++) buffer[at] = bytes[at % bytes.length];
            return typeof fill === 'number' ? buffer.fill(fill) : buffer;
        }
        static concat(list, total = list.reduce((sum, one) => sum + one.length, 0)) {
            const all = new Buffer(list.reduce((sum, one) => sum + one.length, 0));
            list.reduce((at, one) => (all.set(one, at), at + one.length), 0);
            return all.subarray(0, total);
        }
        static byteLength(value, encoding = 'utf8') {
            return typeof value === 'string' ? Buffer.from(value, encoding).length : value.byteLength;
        }
        static compare(one, other) {
            const [left, right] = [latin(one), latin(other)];
            return left === right ? 0 : left < right ? -1 : 1;
        }
        static isBuffer(value) {
            return value instanceof Buffer;
        }
        static isEncoding(name) {
            return ['utf8', 'hex', 'base64', 'base64url'].includes(name);
        }
        equals(other) {
            return Buffer.compare(this, other) === 0;
        }
        toString(encoding = 'utf8', start = 0, end = this.length) {
            return host.encode(latin(this.subarray(start, end)), encoding);
        }
    }

    const digests = (digest) => {
        let text = '';
        return {
            update(data) {
                text += latinOf(data);
                return this;
            },
            digest(encoding) {
                const bytes = asBuffer(digest(text));
                return encoding === undefined ? bytes : bytes.toString(encoding);
            },
        };
    };
    const crypto = {
        createHash: (algorithm) => digests((text) => host.hash(algorithm, text)),
        createHmac: (algorithm, key) => digests((text) => host.hmac(algorithm, latinOf(key), text)),
    };

    const unescape = (text) => decodeURIComponent(text.replaceAll('+', ' '));
    const parse = (text, separator = '&', equal = '=') => {
        const found = {};
        for (const part of text.split(separator).filter((part) => part !== '')) {
            const [name, ...rest] = part.split(equal);
            const [key, value] = [unescape(name), unescape(rest.join(equal))];
            found[key] = key in found ? [].concat(found[key], value) : value;
        }
        return found;
    };
    const stringify = (object, separator = '&', equal = '=') =>
        Object.entries(object)
            .flatMap(([name, value]) => [].concat(value).map((one) => encodeURIComponent(name) + equal + encodeURIComponent(one)))
            .join(separator);
    const querystring = { parse, decode: parse, stringify, encode: stringify, escape: encodeURIComponent, unescape };

    const cloudfront = {
        kvs: () => ({
            async get(key, options = {}) {
                const value = host.get(String(key));
                if (value === undefined || value === null) throw new Error('KeyNotFound');
                if (options.format === 'json') return JSON.parse(value);
                return options.format === 'bytes' ? Buffer.from(value) : value;
            },
            async exists(key) {
                const value = host.get(String(key));
                return value !== undefined && value !== null;
            },
        }),
        cwt: {
            validateToken(token, context) {
                if (!Buffer.isBuffer(token)) throw new TypeError('the token must be a Buffer');
                return host.validateToken(latin(token), latinOf(context.key), asBuffer);
            },
        },
    };

    const modules = { buffer: { Buffer }, cloudfront, crypto, querystring };
    const SystemDate = Date;
    Object.assign(globalThis, {
        Buffer,
        Date: class Date extends SystemDate {
            constructor(...parts) {
                if (parts.length) super(...parts);
                else super(host.now());
            }
            static now() {
                return host.now();
            }
        },
        TextEncoder: class TextEncoder {
            encode(text = '') {
                return new Uint8Array(host.decode(text, 'utf8'));
            }
        },
        TextDecoder: class TextDecoder {
            decode(bytes = []) {
                return host.encode(latin(bytes), 'utf8');
            }
        },
        atob: (text) => latin(host.decode(text, 'base64')),
        btoa: (text) => host.encode(text, 'base64'),
        console: { log: (text) => host.log(String(text)) },
        require(name) {
            if (!(name in modules)) throw new Error('no module ' + name);
            return modules[name];
        },
    });
    // The runtime has neither, and a function that needed them would only work here.
    delete globalThis.eval;
    delete Function.prototype.constructor;
    delete globalThis.Function;
}
