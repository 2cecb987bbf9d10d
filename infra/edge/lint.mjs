// Refuses what CloudFront Functions' JavaScript runtime 2.0 does not document, and code over its quota.
//
//     node infra/edge/lint.mjs            the edge function, after this lint's own examples
//
// Follows "JavaScript runtime 2.0 features for CloudFront Functions": ES 5.1, and of later editions only what is listed
// there. The engine that runs the function on this machine takes much more, so nothing else would notice. The parser,
// acorn, is one of localstack's packages.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const HERE = import.meta.dirname;
const CACHE = process.env.STREAMGATE_CACHE ?? resolve(HERE, "../../.cache");
const acorn = createRequire(join(CACHE, "npm", "package.json"))("acorn");

const LARGEST = 10_240;
const words = (text) => new Set(text.trim().split(/\s+/));

const MODULES = words("crypto querystring");
const OPERATORS = words("+ - * / % ** == != === !== < <= > >= & | ^ << >> >>> in instanceof && ||");
const GLOBALS = words(`
    Array ArrayBuffer Boolean Buffer DataView Date Error EvalError Float32Array Float64Array Infinity Int16Array Int32Array
    Int8Array InternalError JSON Math NaN Number Object Promise RangeError ReferenceError RegExp String Symbol SyntaxError
    TextDecoder TextEncoder TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray arguments atob btoa
    decodeURI decodeURIComponent encodeURI encodeURIComponent isFinite isNaN parseFloat parseInt require undefined
`);
// Of strings, numbers, arrays, objects, regular expressions, functions, promises, Math, Date, JSON and Buffer; then of
// the modules. console is left out: nothing is to be logged.
const METHODS = words(`
    charAt codePointAt concat endsWith fromCharCode fromCodePoint includes indexOf lastIndexOf match padEnd padStart repeat
    replace replaceAll search slice split startsWith substr substring toLowerCase toUpperCase trim trimEnd trimStart
    isFinite isInteger isNaN isSafeInteger parseFloat parseInt toExponential toFixed toPrecision
    copyWithin every fill filter find findIndex forEach isArray join map of pop push reduce reduceRight reverse shift some
    sort splice unshift set subarray
    assign create defineProperties defineProperty entries freeze getOwnPropertyDescriptor getOwnPropertyDescriptors
    getOwnPropertyNames getPrototypeOf hasOwnProperty isExtensible isFrozen isPrototypeOf isSealed keys preventExtensions
    propertyIsEnumerable seal toString valueOf values exec test apply bind call
    all allSettled any catch finally race reject resolve then
    abs ceil clz32 floor imul log log10 log2 max min pow random round sign sqrt trunc
    getTime now parse stringify toISOString toUTCString UTC
    alloc allocUnsafe byteLength compare copy equals from isBuffer isEncoding readInt8 readUInt8 readUInt16BE readUInt32BE
    readUIntBE toJSON write
    createHash createHmac digest update escape unescape decode encode
    cwt exists generateToken get kvs meta validateToken
`);
const ES_5_FLAGS = /^[gimy]*$/;

const plain = (node) => node.type === "Identifier";
const target = (node) => plain(node) || node.type === "MemberExpression";
const parameters = (node) => node.params.every((one) => plain(one) || (one.type === "RestElement" && plain(one.argument)));

/** For each kind of node that is documented, whether this one is. */
const DOCUMENTED = {
    Program: () => true,
    ImportDeclaration: (node) =>
        node.source.value === "cloudfront" && node.specifiers.length === 1 && node.specifiers[0].type === "ImportDefaultSpecifier",
    ImportDefaultSpecifier: () => true,
    // "async arguments and closures are not supported"
    FunctionDeclaration: (node, above) => !node.generator && parameters(node) && (!node.async || above.at(-1).type === "Program"),
    FunctionExpression: (node) => !node.generator && !node.async && parameters(node),
    ArrowFunctionExpression: (node) => !node.async && parameters(node),
    RestElement: () => true,
    VariableDeclaration: (node) => words("var let const").has(node.kind),
    VariableDeclarator: (node) => plain(node.id),
    BlockStatement: () => true,
    BreakStatement: () => true,
    ContinueStatement: () => true,
    DoWhileStatement: () => true,
    EmptyStatement: () => true,
    ExpressionStatement: () => true,
    ForInStatement: () => true,
    ForStatement: () => true,
    IfStatement: () => true,
    LabeledStatement: () => true,
    ReturnStatement: () => true,
    SwitchCase: () => true,
    SwitchStatement: () => true,
    ThrowStatement: () => true,
    TryStatement: () => true,
    CatchClause: (node) => node.param && plain(node.param),
    WhileStatement: () => true,
    ArrayExpression: (node) => node.elements.every((one) => one && one.type !== "SpreadElement"),
    AssignmentExpression: (node) => target(node.left) && (node.operator === "=" || OPERATORS.has(node.operator.slice(0, -1))) && !/^(&&|\|\|)=/.test(node.operator),
    // "await can be used inside async functions only"
    AwaitExpression: (node, above) => above.findLast((one) => /Function/.test(one.type))?.async,
    BinaryExpression: (node) => OPERATORS.has(node.operator),
    CallExpression: (node, above) => !node.optional && called(node.callee) && required(node),
    ConditionalExpression: () => true,
    Identifier: () => true,
    Literal: (node) => node.bigint === undefined && (!node.regex || ES_5_FLAGS.test(node.regex.flags)),
    LogicalExpression: (node) => OPERATORS.has(node.operator),
    MemberExpression: (node) => !node.optional && !words("constructor __proto__ prototype").has(node.property.value ?? (node.computed ? "" : node.property.name))
        || (node.object.name === "Array" && node.property.name === "prototype"),
    NewExpression: (node) => node.arguments.every((one) => one.type !== "SpreadElement"),
    ObjectExpression: () => true,
    Property: (node) => !node.shorthand && !node.method && !node.computed,
    SequenceExpression: () => true,
    TemplateElement: () => true,
    TemplateLiteral: () => true,
    ThisExpression: () => true,
    UnaryExpression: () => true,
    UpdateExpression: () => true,
};

function called(callee) {
    if (callee.type !== "MemberExpression") return true;
    return !callee.computed && METHODS.has(callee.property.name);
}

function required(node) {
    if (node.arguments.some((one) => one.type === "SpreadElement")) return false;
    return node.callee.name !== "require" || (node.arguments.length === 1 && MODULES.has(node.arguments[0].value));
}

/** What is wrong with this code, a line each. */
function faults(code) {
    const found = [];
    const bytes = Buffer.byteLength(code);
    if (bytes > LARGEST) found.push(`${bytes} bytes; CloudFront takes ${LARGEST}`);
    let program;
    try {
        // 12 is ES 2021: whatever is newer does not even parse.
        program = acorn.parse(code, { ecmaVersion: 12, sourceType: "module", locations: true });
    } catch (error) {
        return [...found, error.message];
    }
    const declared = new Set(), used = [];
    const walk = (node, above) => {
        const { line } = node.loc.start;
        if (!DOCUMENTED[node.type]?.(node, above)) found.push(`line ${line}: ${code.slice(node.start, node.end).split("\n")[0].slice(0, 60)} (${node.type})`);
        const parent = above.at(-1);
        if (plain(node)) {
            const name = (parent.type === "MemberExpression" && parent.property === node && !parent.computed) || (parent.type === "Property" && parent.key === node && !parent.computed) || /^(Break|Continue|Labeled)/.test(parent.type);
            if (!name) used.push([node.name, line]);
        }
        for (const name of [node.id, node.param, node.local, ...(node.params ?? [])]) if (name) declared.add((name.argument ?? name).name);
        for (const child of Object.values(node).flat()) if (child?.type && child.loc) walk(child, [...above, node]);
    };
    walk(program, []);
    for (const [name, line] of used) if (!declared.has(name) && !GLOBALS.has(name)) found.push(`line ${line}: ${name} is no documented global`);
    return found;
}

const GOOD = [
    "import cf from 'cloudfront'; async function handler(event) { return await cf.kvs().get('a'); }",
    "const crypto = require('crypto'); function f(a, ...rest) { for (let i = 0; i < 2 ** 3; i++) { rest.push(`${a}`); } }",
    "const a = { b: 1, 'c': [2, 3] }; a.b = a.b > 1 ? a.c[0] : -1; label: for (const key in a) { break label; }",
    "try { throw new Error('x'); } catch (error) { throw error; } finally { parseInt('1_0', 10) + 1_000; }",
];
const BAD = [
    "const { a } = {};", "const [a] = [];", "for (const a of []) {}", "const a = 1 ?? 2;", "const a = {}; a?.b;", "let a = 1; a ||= 2;",
    "const a = [...[]];", "Math.max(...[]);", "const a = 1; const b = { a };", "const a = { b() {} };", "const a = { ['b']: 1 };", "class A {}",
    "function* a() {}", "function a(b = 1) {}", "function a({ b }) {}", "const a = async () => 1;", "function a() { async function b() {} }",
    "async function a() { [1].map((b) => await b); }", "await 1;", "try {} catch {}", "const a = 1n;", "const a = /a/s;", "const a = /a/u;", "String.raw`a`;",
    "eval('1');", "new Function('1');", "const a = (() => 1).constructor('1');", "const a = (() => 1)['constructor']('1');", "setTimeout(1);", "fetch('x');",
    "process.exit(1);", "console.log('a');", "globalThis.a = 1;", "require('fs');", "import fs from 'fs';", "import { kvs } from 'cloudfront';", "export const a = 1;",
    "import('cloudfront');", "[1].at(0);", "[1].flat();", "'a'.matchAll(/a/g);", "Object.fromEntries([]);", "structuredClone({});", "new WeakMap();",
    "const a = 'b'; a['at'](0);", "with (a) {}", "var a = 010;", `const a = '${"x".repeat(LARGEST)}';`,
];

const wrong = [...GOOD.filter((code) => faults(code).length > 0), ...BAD.filter((code) => faults(code).length === 0)];
for (const code of wrong) console.error(`the lint is wrong about: ${code}`);
const file = join(HERE, "viewer-request.js");
const code = readFileSync(file, "utf8");
const found = faults(code);
for (const fault of found) console.error(`${file}: ${fault}`);
if (wrong.length + found.length > 0) process.exit(1);
console.log(`viewer-request.js: ${Buffer.byteLength(code)} of ${LARGEST} bytes, nothing that runtime 2.0 doesn't document`);
