// The page that plays one film. It is a client of the public API like any other: it knows infra/openapi.yaml and nothing
// else. No build step and no framework; hls.js is vendored. Everything that comes from outside (titles, wallets' names,
// problem documents) is put into the page as text, never as HTML.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  const player = find("player");
  const SESSION = "streamgate.session";

  const CHAINS = new Map([
    ["eip155:1", "Ethereum"],
    ["eip155:10", "OP Mainnet"],
    ["eip155:56", "BNB Smart Chain"],
    ["eip155:100", "Gnosis"],
    ["eip155:137", "Polygon"],
    ["eip155:8453", "Base"],
    ["eip155:42161", "Arbitrum One"],
    ["eip155:11155111", "the Sepolia test network"],
    ["eip155:31337", "the local test chain"],
    ["solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "Solana"],
    ["solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "Solana's devnet"],
    ["solana:4uhcVJyU9pJkvQyS88uRDiswHScCKQY3", "Solana's testnet"],
    ["solana:5WueacX9EoKpnyA1W2GCEkjN7U4Paaue", "the local Solana test chain"],
  ]);
  const SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
  const MOST_WALLETS = 5;
  const MOST_ASSETS = 16;

  let video = null;
  let hls = null;
  let grant = null;
  let renewal;
  let timer = 0;
  let busy = false;
  // Every start of something new raises it: what an older start still has in flight must not touch the page any more.
  let turn = 0;

  // ---- Small things

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const sleep = (seconds) => new Promise((resolve) => { timer = setTimeout(resolve, seconds * 1000); });
  const short = (address) => `${address.slice(0, 6)}…${address.slice(-4)}`;
  const address = (full) => make("code", { title: full, textContent: short(full) });
  const chainName = (chain) => CHAINS.get(chain) ?? `chain ${chain}`;
  const addressIn = (account) => account.split(":").pop();
  const moment = (text) => new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
  const clock = (seconds) => {
    const whole = Math.round(seconds);
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const two = (number) => String(number).padStart(2, "0");
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  };

  // ---- The session: in this tab only, and gone with it

  const session = {
    read() {
      try {
        const kept = JSON.parse(sessionStorage.getItem(SESSION));
        if (kept && Date.parse(kept.expires_at) > Date.now()) return kept;
      } catch { /* unreadable is the same as absent */ }
      return null;
    },
    keep(made) {
      sessionStorage.setItem(SESSION, JSON.stringify(made));
      session.show();
    },
    drop() {
      sessionStorage.removeItem(SESSION);
      session.show();
    },
    accounts() {
      const kept = session.read();
      return kept?.accounts ?? (kept ? [kept.account] : []);
    },
    show() {
      const all = session.accounts().map(addressIn);
      find("account").hidden = all.length === 0;
      find("account-address").textContent = all.length ? short(all[0]) + (all.length > 1 ? ` + ${all.length - 1}` : "") : "";
      find("account-address").title = all.join("\n");
      find("link-wallet").hidden = all.length === 0 || all.length >= MOST_WALLETS;
    },
  };

  // ---- The API

  /** A problem document, or the lack of an answer, as an error. */
  class Problem extends Error {
    constructor(status, body, retryAfter) {
      super(body.detail || body.title || `The server answered ${status}.`);
      this.status = status;
      this.slug = String(body.type ?? "").split("/").pop();
      this.field = String(body.field ?? "");
      this.conditions = Array.isArray(body.conditions) ? body.conditions : [];
      this.retryAfter = retryAfter;
    }
  }

  /** Asks the API. `bearer` is shown in place of the session. Cookies are only kept: the API itself asks for none. */
  const ask = async (method, path, body, bearer = session.read()?.token) => {
    const headers = { Accept: "application/json" };
    if (bearer) headers.Authorization = `Bearer ${bearer}`;
    if (body) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "same-origin" });
    } catch {
      throw new Problem(0, { detail: "The server did not answer. Is the network there?" });
    }
    const text = await response.text();
    let answer = {};
    try { answer = text ? JSON.parse(text) : {}; } catch { /* not ours: a proxy's page, say */ }
    if (response.ok) return answer;
    const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    throw new Problem(response.status, answer ?? {}, Number.isFinite(wait) ? wait : undefined);
  };

  // ---- What the stage says

  const state = (name) => { document.body.dataset.state = name; };

  /** Puts a message on the stage in place of the film. `over` leaves the film's last picture behind it. */
  const say = (name, { eyebrow = "", headline, text = "", action, second, hint = "", outcomes = [], progress, over = false }) => {
    state(name);
    player.hidden = !over;
    find("veil").hidden = false;
    find("veil").classList.toggle("over", over);
    find("eyebrow").textContent = eyebrow;
    find("eyebrow").hidden = !eyebrow;
    find("headline").textContent = headline;
    find("text").replaceChildren(text);
    find("text").hidden = !text;
    find("hint").textContent = hint;
    find("hint").hidden = !hint;
    find("outcomes").replaceChildren(...outcomes);
    find("outcomes").hidden = outcomes.length === 0;
    for (const [id, button] of [["action", action], ["second-action", second]]) {
      find(id).hidden = !button;
      find(id).textContent = button?.label ?? "";
      find(id).onclick = button?.run ?? null;
      find(id).disabled = false;
    }
    find("progress").hidden = !progress;
    if (progress) {
      // Without a value the bar shows that something is going on, and not how far it is.
      if (progress.part === undefined) find("progress-bar").removeAttribute("value");
      else find("progress-bar").value = progress.part;
      find("progress-text").textContent = progress.text;
    }
  };

  const failed = (error, again) => say("error", {
    eyebrow: "Something went wrong",
    headline: error instanceof Problem ? error.message : "That did not work",
    text: error instanceof Problem ? "" : String(error?.message ?? error),
    action: again && { label: "Try again", run: again },
  });

  // ---- The policy in words

  const branches = (rule) => rule.all ?? rule.any ?? rule.none ?? rule.of;
  const leaves = (rule) => (rule ? branches(rule)?.flatMap(leaves) ?? [rule] : []);

  /** How many or how much, as in "at least 2". `one` says it for a single thing. */
  const quantity = ({ min = "1", max }, one, several) => {
    if (max === undefined) return min === "1" && one ? one : `at least ${min} ${several}`;
    return min === max ? `exactly ${min} ${several}` : `from ${min} to ${max} ${several}`;
  };

  const idList = (ids) => ids.map((id) => id.replace("-", " to ")).join(", ");

  const oneOf = (ids) => (ids.length === 1 && !ids[0].includes("-") ? `token ${ids[0]}` : `one of the tokens ${idList(ids)}`);

  /** One condition as a phrase that follows "Whoever". */
  const inWords = (condition) => {
    const { kind } = condition;
    const at = (key, before = "") => [before, address(condition[key] ?? condition.subject ?? "?"), ` on ${chainName(condition.chain)}`];
    const parts = {
      erc721() {
        const { ids, traits = [], via } = condition;
        const several = `${ids ? `of the tokens ${idList(ids)}` : "tokens"} of the collection `;
        const one = ids ? `${oneOf(ids)} of the collection ` : "a token of the collection ";
        const having = traits.length ? `, with ${traits.map(({ trait, value }) => `${trait} “${value}”`).join(" and ")}` : "";
        return ["holds ", quantity(condition, one, several), ...at("contract"), having, via ? ", or was delegated it" : ""];
      },
      erc1155() {
        const { ids = [] } = condition;
        return ["holds ", quantity(condition, `${oneOf(ids)} of `, `of the tokens ${idList(ids)} of `), ...at("contract"), condition.via ? ", or was delegated it" : ""];
      },
      erc20: () => ["holds ", quantity(condition, "", "of the token "), ...at("contract"), condition.via ? ", or was delegated it" : ""],
      native: () => ["has ", quantity(condition, "", "of the own coin of "), chainName(condition.chain)],
      contract() {
        const [[word, value] = ["equals", "what is asked for"]] = Object.entries(condition.result ?? {});
        const how = { equals: "the answer", not_equals: "an answer other than", at_least: "at least", at_most: "at most", above: "more than", below: "less than" }[word] ?? word;
        const called = `${(condition.function ?? "its function").split("(")[0]}(${(condition.arguments ?? []).map((text) => (text === ":account" ? "the wallet" : text)).join(", ")})`;
        return [`is given ${how} ${value || "“”"} by ${called} of the contract `, ...at("contract")];
      },
      unlock: () => ["has a valid key to the lock ", ...at("contract")],
      spl: () => ["holds ", quantity(condition, "", "of the token "), ...at("mint")],
      metaplex_collection: () => ["holds ", quantity(condition, "an NFT", "NFTs"), ...at("collection", " of the collection ")],
      core_collection: () => ["holds ", quantity(condition, "an NFT", "NFTs"), ...at("collection", " of the collection ")],
      metaplex_creator: () => ["holds ", quantity(condition, "an NFT", "NFTs"), ...at("creator", " by the creator ")],
      token2022_group: () => ["holds ", quantity(condition, "a token", "tokens"), ...at("group", " of the group ")],
      // The list itself is for its creator's eyes.
      accounts: () => [condition.allow ? "is on the creator's list" : condition.deny ? "is not on the creator's list" : "passes the creator's list of accounts"],
      time() {
        const { from, until } = condition;
        return ["comes ", from ? `from ${moment(from)} on` : "", from && until ? " and " : "", until ? `before ${moment(until)}` : ""];
      },
      lambda: () => ["is let in by the plug-in ", make("code", { textContent: condition.function ?? condition.subject ?? "?" })],
    };
    return make("span", {}, ...(Object.hasOwn(parts, kind) ? parts[kind]() : [`meets a condition of the kind ${kind}`]));
  };

  const ruleInWords = (rule, top = true) => {
    const several = branches(rule);
    if (!several) return make("p", {}, top ? "Whoever " : "", inWords(rule), top ? "." : "");
    if (several.length === 1 && !rule.none) return ruleInWords(several[0], top);
    const words = rule.all ? "all of these" : rule.any ? "any one of these" : rule.none ? "none of these" : `at least ${rule.at_least} of these`;
    const list = make("ul", {}, ...several.map((inner) => make("li", {}, ruleInWords(inner, false))));
    return make("div", {}, make("p", { textContent: `${top ? "Whoever meets" : "meets"} ${words}:` }), list);
  };

  const showPolicy = () => {
    find("policy").hidden = false;
    find("policy-text").replaceChildren(
      video.policy ? ruleInWords(video.policy.rule) : "Only its creator, who has not said yet who else may.",
    );
  };

  /** The condition that stands at a path such as rule.all[0].of[1]. */
  const conditionAt = (path) => {
    let rule = video?.policy?.rule;
    for (const [, word, place] of path.matchAll(/\.(all|any|none|of)\[(\d+)\]/g)) rule = rule?.[word]?.[Number(place)];
    return rule?.kind ? rule : null;
  };

  /** What was seen, in sentences. */
  const seenInWords = ({ kind, value, reason, block, slot, grace }) => {
    const parts = [];
    if (/^[0-9.]+$/.test(value ?? "") && !["contract", "lambda"].includes(kind)) {
      parts.push(session.accounts().length > 1 ? `Your wallets hold ${value} together.` : `This wallet holds ${value}.`);
    } else if (kind === "contract" && value !== undefined) parts.push(`The answer was ${value === "" ? "empty" : value}.`);
    else if (kind === "unlock" && value) parts.push(value === "never" ? "The key does not end." : `The key ends at ${moment(value)}.`);
    else if (kind === "accounts" && value) parts.push(`The account is ${addressIn(value)}.`);
    // That so many are held and so many needed is said already.
    const repeats = parts.length > 0 && (/^holds [0-9.]+, (needs|at most) /.test(reason) || kind === "contract" && /^answers /.test(reason));
    const times = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;
    if (reason && !repeats) parts.push(sentence(reason.replace(/: name the token in assets$/, "").replace(times, moment)));
    if (block) parts.push(`Read at block ${block.number}.`);
    if (slot !== undefined) parts.push(`Read at slot ${slot}.`);
    if (grace) parts.push("It can't be read at the moment: this is an older answer.");
    return ` ${parts.join(" ")}`;
  };

  /** Tokens that the viewer named, for where they can't be searched for (CAIP-19). They go with every request to watch. */
  const assets = new Set();

  /** Asks for a token's name where the server could not look through all that a wallet holds. */
  const tokenForm = ({ kind, chain, subject, path }) => {
    const evm = chain.startsWith("eip155:");
    const id = `asset-${path.replace(/\W+/g, "-")}`;
    const input = make("input", { id, required: true, autocomplete: "off", spellcheck: false });
    input.pattern = evm ? "(0|[1-9][0-9]{0,77})" : "[1-9A-HJ-NP-Za-km-z]{32,44}";
    input.title = evm ? "A token's number" : "A token's address";
    const form = make("form", { className: "asset" },
      make("label", { htmlFor: id, textContent: evm ? "Number of a token that you hold" : "Address of a token that you hold" }),
      input, make("button", { type: "submit", className: "plain", textContent: "Look at it" }));
    form.onsubmit = (event) => {
      event.preventDefault();
      if (assets.size >= MOST_ASSETS) assets.delete(assets.values().next().value);
      assets.add(evm ? `${chain}/${kind}:${subject}/${input.value}` : `${chain}/nft:${input.value}`);
      watch();
    };
    return form;
  };

  const outcomeInWords = (outcome) => {
    // Below an odd number of "none of these" a condition must not hold.
    const wanted = (outcome.path.match(/\.none\[/g) ?? []).length % 2 === 0 ? "yes" : "no";
    const is = outcome.outcome === "unknown" ? "unknown" : outcome.outcome === wanted ? "yes" : "no";
    const [mark, words] = { yes: ["✓", "Met."], no: ["✕", "Not met."], unknown: ["?", "Could not be checked."] }[is];
    const what = make("p", {}, wanted === "yes" ? "Asked for: whoever " : "Asked for: nobody who ", inWords(conditionAt(outcome.path) ?? outcome), ".");
    const seen = make("p", { className: "outcome-seen" }, make("strong", { textContent: words }), seenInWords(outcome));
    const more = /name the token in assets$/.test(outcome.reason ?? "") && outcome.chain ? [tokenForm(outcome)] : [];
    return make(
      "li", { className: `outcome outcome-${is}` },
      make("span", { className: "outcome-mark", ariaHidden: "true", textContent: mark }), what, seen, ...more,
    );
  };

  // ---- Wallets. Of each kind the page wants the same: an account, and a signature.

  const toHex = (bytes) => `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  const base58 = (bytes) => {
    let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    let text = "";
    for (; number > 0n; number /= 58n) text = DIGITS[Number(number % 58n)] + text;
    return "1".repeat(bytes.findIndex((byte) => byte !== 0)) + text;
  };

  /** The chain to sign in with: the wallet's own if the film's policy names it, else one that it names. */
  const signInChain = (family, own) => {
    const named = leaves(video?.policy?.rule).map(({ chain }) => chain).filter((chain) => chain?.startsWith(`${family}:`));
    return named.includes(own) ? own : named[0] ?? own;
  };

  // EIP-6963 announces them, EIP-1193 asks them; window.ethereum is the old way.
  const announced = new Map();
  addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = event.detail ?? {};
    if (info?.uuid && provider?.request) announced.set(info.uuid, evmWallet(String(info.name ?? "Wallet"), info.icon, provider));
  });

  const evmWallet = (name, icon, provider) => ({
    name, icon, family: "Ethereum",
    async connect() {
      const [account] = await provider.request({ method: "eth_requestAccounts" });
      if (!account) throw new Declined();
      const own = `eip155:${Number.parseInt(await provider.request({ method: "eth_chainId" }), 16)}`;
      return `${signInChain("eip155", own)}:${account}`;
    },
    async sign(message, account) {
      const text = toHex(new TextEncoder().encode(message));
      return { message, signature: await provider.request({ method: "personal_sign", params: [text, addressIn(account)] }) };
    },
    // Who only turns to another account of the same wallet may be about to link it.
    whenGone(run) { provider.on?.("accountsChanged", (accounts) => { if (!accounts?.length) run(); }); },
  });

  // Solana's wallets register by the Wallet Standard: either side may come first.
  const registered = new Map();
  const standard = Object.freeze({
    register(...wallets) {
      for (const wallet of wallets) {
        const features = wallet?.features ?? {};
        const able = features["standard:connect"] && (features["solana:signMessage"] || features["solana:signIn"]);
        if (able && wallet.chains?.some((chain) => chain.startsWith("solana:"))) registered.set(wallet, solanaWallet(wallet));
      }
      return () => wallets.forEach((wallet) => registered.delete(wallet));
    },
  });
  addEventListener("wallet-standard:register-wallet", (event) => {
    if (typeof event.detail === "function") event.detail(standard);
  });

  const solanaWallet = (wallet) => ({
    name: String(wallet.name ?? "Wallet"), icon: wallet.icon, family: "Solana",
    async connect() {
      const { accounts } = await wallet.features["standard:connect"].connect();
      this.account = accounts?.find(({ chains }) => chains?.some((chain) => chain.startsWith("solana:"))) ?? accounts?.[0];
      if (!this.account) throw new Declined();
      return `${signInChain("solana", SOLANA)}:${this.account.address}`;
    },
    async sign(message) {
      const { "solana:signMessage": plain, "solana:signIn": whole } = wallet.features;
      if (plain) {
        const [{ signature }] = await plain.signMessage({ account: this.account, message: new TextEncoder().encode(message) });
        return { message, signature: base58(signature) };
      }
      // Such a wallet writes the message itself, from its parts.
      const part = (name) => new RegExp(`^${name}: (.*)$`, "m").exec(message)?.[1];
      const [{ signedMessage, signature }] = await whole.signIn({
        domain: message.split(" wants you")[0],
        address: this.account.address,
        statement: message.split("\n\n")[1],
        uri: part("URI"),
        version: part("Version"),
        chainId: part("Chain ID"),
        nonce: part("Nonce"),
        issuedAt: part("Issued At"),
        expirationTime: part("Expiration Time"),
      });
      return { message: new TextDecoder().decode(signedMessage), signature: base58(signature) };
    },
    whenGone(run) { wallet.features["standard:events"]?.on("change", ({ accounts }) => { if (accounts && !accounts.length) run(); }); },
  });

  class Declined extends Error {}

  const chooseWallet = () => new Promise((resolve) => {
    const evm = [...announced.values()];
    if (evm.length === 0 && window.ethereum?.request) evm.push(evmWallet("Browser wallet", undefined, window.ethereum));
    const wallets = [...evm, ...registered.values()];
    if (wallets.length < 2) return resolve(wallets[0] ?? null);
    const dialog = find("wallets");
    let chosen;
    find("wallet-list").replaceChildren(...wallets.map((wallet) => {
      // Only pictures that are part of the announcement: an address would tell somebody who is looking at this page.
      const icon = /^data:image\//.test(wallet.icon ?? "")
        ? make("img", { src: wallet.icon, alt: "" })
        : make("span", { className: "wallet-blank" });
      const family = make("span", { className: "quiet small", textContent: wallet.family });
      const button = make("button", { type: "button" }, icon, make("span", { textContent: wallet.name }), family);
      button.onclick = () => { chosen = wallet; dialog.close(); };
      return make("li", {}, button);
    }));
    dialog.onclose = () => resolve(chosen ?? undefined);
    dialog.showModal();
  });

  /** Signs in, or with `link` adds a wallet to those that have signed in. */
  const signIn = async (link = false) => {
    if (busy) return;
    busy = true;
    const mine = ++turn;
    clearTimeout(timer);
    const again = () => signIn(link);
    try {
      dispatchEvent(new Event("eip6963:requestProvider"));
      const wallet = await chooseWallet();
      if (wallet === undefined) return link ? void load() : undefined;
      if (wallet === null) {
        say("error", {
          eyebrow: "No wallet found",
          headline: "This browser has no wallet",
          text: "Install a wallet extension for Ethereum or Solana, or open this page in your wallet app's browser, and try again.",
          action: { label: "Try again", run: again },
        });
        return;
      }
      say("signing", { headline: "Look at your wallet", text: `${wallet.name} asks you to connect and then to sign a message. It costs nothing.`, progress: { text: "Waiting for your wallet" } });
      const account = await wallet.connect();
      if (link && session.accounts().some((other) => addressIn(other).toLowerCase() === addressIn(account).toLowerCase())) {
        say("error", {
          eyebrow: "Nothing to link",
          headline: "This wallet is signed in already",
          text: "Choose another account in it, or another wallet, and try again.",
          action: { label: "Try again", run: again },
          second: { label: "Back", run: () => load() },
        });
        return;
      }
      const nonce = await ask("POST", "/v1/auth/nonce", { account });
      const signed = await wallet.sign(nonce.message, account);
      const made = await ask("POST", "/v1/auth/session", link ? { ...signed, link } : signed);
      if (mine !== turn) return;
      session.keep(made);
      wallet.whenGone(() => {
        if (session.accounts().some((other) => addressIn(other).toLowerCase() === addressIn(account).toLowerCase())) signOut();
      });
      await load(true);
    } catch (error) {
      if (mine === turn) signInFailed(error, link, again);
    } finally {
      busy = false;
    }
  };

  const signInFailed = (error, link, run) => {
    const again = { label: "Try again", run };
    const eyebrow = link ? "Not linked" : "Not signed in";
    const second = link ? { label: "Back", run: () => load() } : undefined;
    const tell = (headline, text) => say("error", { eyebrow, headline, text, action: again, second });
    // Solana's wallets have no code for it, only words.
    const declined = error instanceof Declined || error?.code === 4001 || error?.code === "ACTION_REJECTED"
      || (!(error instanceof Problem) && /\b(reject|declin|denied|cancel)/i.test(error?.message ?? ""));
    if (declined) {
      tell("You declined in your wallet", "Nothing was signed and nothing was sent. You can try again whenever you like.");
    } else if (error?.code === -32002) {
      tell("Your wallet is still asking", "It has an open request. Open the wallet, answer it there, and try again.");
    } else if (!(error instanceof Problem)) {
      tell("Your wallet reported a problem", String(error?.message ?? error));
    } else if (["nonce-used", "nonce-invalid", "message-expired"].includes(error.slug)) {
      tell("That took too long", "The message to sign is good for a few minutes and for one time only. Sign a fresh one.");
    } else if (link && ["session-required", "session-invalid"].includes(error.slug)) {
      session.drop();
      say("invite", { eyebrow: "Signed out", headline: "Your session has ended", text: "Sign in again, and then link your other wallet.", action: { label: "Sign in with your wallet", run: () => signIn() } });
    } else if (error.field === "link") {
      tell("No more wallets can be linked", `${sentence(error.message)} Sign out, and sign in with those that matter for this film.`);
    } else if (error.slug === "signature-invalid") {
      tell("The signature is not that wallet's", `${sentence(error.message)} If your wallet is a contract, switch it to the chain that it is on, and try again.`);
    } else if (error.status === 503) {
      tell(link ? "Linking is not possible at the moment" : "Signing in is not possible at the moment", `${sentence(error.message)} Wait a moment, and try again.`);
    } else {
      tell(link ? "Linking was refused" : "Signing in was refused", error.message);
    }
  };

  const signOut = () => {
    turn++;
    clearTimeout(timer);
    stopPlayer();
    leave();
    // As far as that can be told: the token is forgotten here in any case.
    if (session.read()) ask("DELETE", "/v1/auth/session").catch(() => {});
    session.drop();
    assets.clear();
    load();
  };

  // ---- The film

  /** Gives back the grant that is held, as far as that can be told. */
  const leave = () => {
    const left = grant;
    grant = null;
    if (left) ask("DELETE", `/v1/grants/${left.id}`, undefined, left.token).catch(() => {});
  };

  const stopPlayer = () => {
    clearTimeout(renewal);
    hls?.destroy();
    hls = null;
    player.pause();
    player.removeAttribute("src");
    player.load();
    player.hidden = true;
    find("places").hidden = true;
  };

  const invite = () => say("invite", {
    eyebrow: "Token-gated film",
    headline: "Sign in to watch",
    text: "Your wallet shows that you hold what opens this film.",
    action: { label: "Sign in with your wallet", run: () => signIn() },
    hint: "You sign a message. No transaction, no fee, nothing moves.",
  });

  /** Reads the film and goes on from there. `play` when the viewer has just asked for it. */
  const load = async (play = false) => {
    const mine = ++turn;
    clearTimeout(timer);
    try {
      const read = await ask("GET", `/v1/videos/${wanted}`);
      if (mine !== turn) return;
      video = read;
      find("title").textContent = video.title;
      document.title = `${video.title} · StreamGate`;
      find("meta").textContent = video.duration_seconds ? `${clock(video.duration_seconds)} long` : "";
      showPolicy();
      if (!watchable(video)) return await notReady(mine, play);
      if (!session.read()) return invite();
      if (play) return await watch();
      say("invite", { headline: "Ready when you are", text: "You are signed in.", action: { label: "Watch", run: () => watch() } });
    } catch (error) {
      if (mine !== turn) return;
      if (error instanceof Problem && error.status === 401 && session.read()) {
        session.drop();
        return load();
      }
      if (error instanceof Problem && (error.status === 404 || error.slug === "session-required")) {
        find("title").textContent = "Film";
        find("policy").hidden = true;
        const inside = Boolean(session.read());
        return say("missing", {
          eyebrow: "Nothing to see yet",
          headline: "There is no such film, or it is not ready",
          text: inside ? "Check the address, or come back later." : "Check the address, or come back later. If the film is yours, sign in to see how far it is.",
          action: inside ? { label: "Look again", run: () => load() } : { label: "Sign in with your wallet", run: () => signIn() },
        });
      }
      if (error instanceof Problem && error.status === 503) return waitAndRetry(error, () => load(play));
      failed(error, () => load(play));
    }
  };

  /** Whether there is something to see: of a film that is still transcoded, its beginning. Others are not told of less. */
  const watchable = ({ stage, owner, progress }) =>
    stage === "ready" || (stage === "transcoding" && (!owner || (progress?.watchable_seconds ?? 0) > 0));

  const notReady = async (mine, play) => {
    if (video.stage === "failed") {
      const hope = video.redrivable ? "; whoever runs this stack may still have it finished" : "";
      return say("error", { eyebrow: "Transcode failed", headline: "This film could not be prepared", text: (video.reason ?? "No reason was given") + hope });
    }
    if (video.stage === "deleting") {
      return say("missing", { headline: "This film is being deleted" });
    }
    const total = video.tasks_total ?? 0;
    const done = video.tasks_done ?? 0;
    const words = { uploading: "Waiting for the upload to finish", uploaded: "Uploaded, waiting for its turn", transcoding: "Being transcoded" }[video.stage];
    say("preparing", {
      eyebrow: "Not ready yet",
      headline: words ?? "Being prepared",
      text: "This page goes on by itself when the film begins to be there.",
      progress: total > 0 ? { part: done / total, text: `${done} of ${total} parts done${left(video.progress)}` } : { text: "" },
    });
    await sleep(2);
    if (mine === turn) await load(play);
  };

  const left = (progress) => (progress?.seconds_left === undefined ? "" : `, about ${clock(progress.seconds_left)} left`);

  /** 503 is "not now", not "no": waits as long as the server says, and asks again. */
  const waitAndRetry = async (problem, again) => {
    const mine = turn;
    const seconds = Math.min(Math.max(problem.retryAfter ?? 5, 1), 60);
    say("waiting", {
      eyebrow: "Please wait",
      headline: "That cannot be checked at the moment",
      text: problem.message,
      progress: { part: 0, text: "" },
      second: { label: "Try now", run: () => { clearTimeout(timer); again(); } },
    });
    for (let left = seconds; left > 0; left--) {
      find("progress-bar").value = 1 - left / seconds;
      find("progress-text").textContent = `Trying again in ${left} s`;
      await sleep(1);
      if (mine !== turn) return;
    }
    await again();
  };

  /** Asks for a grant and plays. `from` is where to go on after a grant that ran out. */
  const watch = async (from = 0) => {
    const mine = ++turn;
    clearTimeout(timer);
    say("asking", { headline: "Asking the chain", text: "What you hold is held against the film's policy.", progress: { text: "" }, over: from > 0 });
    try {
      const playback = await ask("POST", `/v1/videos/${wanted}/playback`, assets.size ? { assets: [...assets] } : undefined);
      if (mine !== turn) return;
      grant = playback.grant;
      keep(playback, mine);
      await play(playback, from, mine);
    } catch (error) {
      if (mine !== turn) return;
      stopPlayer();
      if (!(error instanceof Problem)) return failed(error, () => watch(from));
      if (error.slug === "policy-refused") return refused(error);
      if (error.status === 401) {
        session.drop();
        return say("invite", { eyebrow: "Signed out", headline: "Your session has ended", text: "Sign in again to watch.", action: { label: "Sign in with your wallet", run: () => signIn() } });
      }
      if (error.slug === "video-not-ready" || error.slug === "conflict" || error.status === 404) {
        if (error.slug !== "video-not-ready") return load();
        say("preparing", { eyebrow: "Not ready yet", headline: "This film is still being prepared", text: "This page goes on by itself when the film is ready.", progress: { text: "" } });
        await sleep(3);
        return mine === turn ? load(true) : undefined;
      }
      if (error.status === 503) return waitAndRetry(error, () => watch(from));
      failed(error, () => watch(from));
    }
  };

  /** Renews the grant before what it carries ends, for as long as the policy says yes. The player notices nothing. */
  const keep = (playback, mine) => {
    clearTimeout(renewal);
    if (!playback.renew_at) return;
    const by = Date.parse(playback.renew_at);
    const renew = async () => {
      if (mine !== turn || grant?.id !== playback.grant.id) return;
      try {
        const next = await ask("POST", `/v1/grants/${grant.id}/renew`, undefined, grant.token);
        if (mine === turn) keep(next, mine);
      } catch (error) {
        if (mine !== turn) return;
        if (error.slug === "policy-refused") {
          turn++;
          stopPlayer();
          return refused(error);
        }
        // Ended or over: whether a new one can be had is for the gate to say.
        if (error.status === 403) return grantEnded(by);
        renewal = setTimeout(renew, 1000 * Math.min(error.retryAfter ?? 2, 5));
      }
    };
    renewal = setTimeout(renew, Math.max(by - Date.now(), 1000));
  };

  const refused = (problem) => {
    const wallets = session.accounts().map(addressIn).flatMap((full, place) => [place ? ", " : " ", address(full)]);
    const several = session.accounts().length > 1;
    const text = make("span", {}, several ? "The wallets" : "The wallet", ...wallets);
    text.append(problem.conditions.length
      ? `${several ? " do" : " does"} not meet the film's policy. This is what was asked for, and what was seen:`
      : " may not watch it: its creator has not said yet who may.");
    say("refused", {
      eyebrow: "No entry",
      headline: several ? "These wallets do not open the film" : "This wallet does not open the film",
      text,
      outcomes: problem.conditions.map(outcomeInWords),
      action: { label: "Check again", run: () => watch() },
      second: find("link-wallet").hidden ? { label: "Use another wallet", run: signOut } : { label: "Link another wallet", run: () => signIn(true) },
      hint: problem.conditions.length ? "If you have just bought it, check again in some seconds. If it is in another wallet of yours, link that: what your wallets hold is added up." : "",
    });
  };

  const hlsLibrary = () => {
    if (window.Hls) return Promise.resolve(window.Hls);
    return new Promise((resolve, reject) => {
      const script = make("script", { src: "vendor/hls.min.js" });
      script.onload = () => resolve(window.Hls);
      script.onerror = () => reject(new Error("The player could not be loaded."));
      document.head.append(script);
    });
  };

  const play = async (playback, from, mine) => {
    const Hls = await hlsLibrary();
    if (mine !== turn) return;
    hls?.destroy();
    hls = null;
    let shown = false;
    const show = () => {
      if (shown || mine !== turn) return;
      shown = true;
      state("playing");
      find("veil").hidden = true;
      player.hidden = false;
      // After a wallet's window the click may be too long ago for sound to start by itself: the controls are there.
      player.play().catch(() => {});
    };
    const ends = new Date(playback.grant.expires_at);
    const until = ends.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    find("meta").textContent = [
      video?.duration_seconds && `${clock(video.duration_seconds)} long`,
      `your access lasts until ${until}, and is renewed for as long as the policy lets you in`,
      playback.grant.grace && "it rests on an older answer, because a chain can't be read at the moment",
    ].filter(Boolean).join(" · ");

    showPlaces(playback, mine);
    if (Hls.isSupported()) {
      // No worker: it would be a blob: script, which the page's CSP does not allow.
      hls = new Hls({ enableWorker: false, startPosition: from, capLevelToPlayerSize: false });
      hls.on(Hls.Events.MANIFEST_PARSED, show);
      let recovered = false;
      hls.on(Hls.Events.ERROR, (_, data) => {
        if (!data.fatal || mine !== turn) return;
        const status = data.response?.code;
        // The grant ran out, or the policy changed under it: ask again, and go on from here if the answer is yes.
        if (status === 401 || status === 403) return grantEnded(ends);
        if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
          recovered = true;
          return hls.recoverMediaError();
        }
        brokenOff(data.details);
      });
      hls.loadSource(playback.hls);
      hls.attachMedia(player);
    } else if (player.canPlayType("application/vnd.apple.mpegurl")) {
      player.onerror = () => { if (mine === turn && player.getAttribute("src")) (Date.now() >= ends ? grantEnded(ends) : brokenOff("media error")); };
      player.onloadedmetadata = () => { if (from) player.currentTime = from; };
      player.src = playback.hls;
      show();
    } else {
      say("error", { eyebrow: "Cannot play", headline: "This browser cannot play the film", text: "It has neither Media Source Extensions nor HLS of its own. A current version of any common browser has." });
    }
  };

  /** The storyboard: which picture belongs to which stretch of the film. */
  const readStoryboard = (text) =>
    [...text.matchAll(/^([\d:.]+) --> ([\d:.]+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$/gm)].map(([, start, end, sheet, ...area]) => {
      const seconds = (time) => time.split(":").reduce((total, part) => total * 60 + Number(part), 0);
      return { start: seconds(start), end: seconds(end), sheet, area: area.map(Number) };
    });

  /** A line under the picture that shows what is where, and goes there. Without one the player's own line does. */
  const showPlaces = async (playback, mine) => {
    player.poster = playback.poster ?? "";
    const line = find("places");
    line.hidden = true;
    if (!playback.storyboard) return;
    const answer = await fetch(playback.storyboard).catch(() => undefined);
    const cues = answer?.ok ? readStoryboard(await answer.text()) : [];
    if (!cues.length || mine !== turn) return;
    const length = cues[cues.length - 1].end;
    const place = find("place");
    const point = (time) => {
      const cue = cues.find((candidate) => time < candidate.end) ?? cues[cues.length - 1];
      const [x, y, width, height] = cue.area;
      Object.assign(find("place-picture").style, { width: `${width}px`, height: `${height}px`, backgroundImage: `url("${new URL(cue.sheet, playback.storyboard).href}")`, backgroundPosition: `-${x}px -${y}px` });
      find("place-time").textContent = clock(Math.floor(time));
      place.style.left = `${(time / length) * 100}%`;
      place.hidden = false;
      line.setAttribute("aria-valuenow", Math.round(time));
      line.setAttribute("aria-valuetext", clock(Math.floor(time)));
    };
    const timeAt = (event) => {
      const box = line.getBoundingClientRect();
      return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.9999) * length;
    };
    line.setAttribute("aria-valuemin", 0);
    line.setAttribute("aria-valuemax", Math.round(length));
    line.onpointermove = (event) => point(timeAt(event));
    line.onpointerleave = line.onblur = () => { place.hidden = true; };
    line.onclick = (event) => { player.currentTime = timeAt(event); };
    line.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      player.currentTime = Math.min(Math.max(player.currentTime + step * 10, 0), length - 0.1);
      point(player.currentTime);
    };
    line.hidden = false;
  };

  let lastEnd = -Infinity;
  const grantEnded = (ends) => {
    const place = player.currentTime;
    // A grant refused at once, twice in a row, is not one that ran out: do not ask in circles.
    if (performance.now() - lastEnd < 5000 && Date.now() < ends) return brokenOff("the media was refused");
    lastEnd = performance.now();
    watch(place || 0);
  };

  const brokenOff = (why) => {
    const place = player.currentTime;
    stopPlayer();
    say("error", {
      eyebrow: "Interrupted",
      headline: "The film broke off",
      text: `The player reports: ${why}.`,
      action: { label: "Go on", run: () => watch(place) },
    });
  };

  // ---- Start

  const idIn = (text) => /(?:^|[^0-9a-f])([0-9a-f]{32})(?:$|[^0-9a-f])/.exec(text.trim().toLowerCase())?.[1];
  const asked = new URLSearchParams(location.search).get("video");
  const wanted = asked === null ? undefined : idIn(asked);

  find("sign-out").onclick = signOut;
  find("link-wallet").onclick = () => signIn(true);
  dispatchEvent(new Event("eip6963:requestProvider"));
  dispatchEvent(new CustomEvent("wallet-standard:app-ready", { detail: standard }));

  if (!wanted) {
    find("landing").hidden = false;
    find("account").hidden = true;
    state("landing");
    if (asked) {
      find("video-id").value = asked;
      find("finder-error").textContent = "That is not a film's id: it has 32 characters, 0 to 9 and a to f.";
    }
    find("finder").onsubmit = (event) => {
      event.preventDefault();
      const id = idIn(find("video-id").value);
      if (id) location.href = `/?video=${id}`;
      else find("finder-error").textContent = "That is not a film's id: it has 32 characters, 0 to 9 and a to f.";
    };
  } else {
    find("watch").hidden = false;
    session.show();
    say("loading", { headline: "Opening the film", progress: { text: "" } });
    load();
  }
})();
