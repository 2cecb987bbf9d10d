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
  ]);

  let video = null;
  let hls = null;
  let timer = 0;
  let signedInWith = null;
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
      signedInWith = null;
      session.show();
    },
    show() {
      const kept = session.read();
      find("account").hidden = !kept;
      if (kept) {
        const full = kept.account.split(":").pop();
        find("account-address").textContent = short(full);
        find("account-address").title = full;
      }
    },
  };

  // ---- The API

  /** A problem document, or the lack of an answer, as an error. */
  class Problem extends Error {
    constructor(status, body, retryAfter) {
      super(body.detail || body.title || `The server answered ${status}.`);
      this.status = status;
      this.slug = String(body.type ?? "").split("/").pop();
      this.conditions = Array.isArray(body.conditions) ? body.conditions : [];
      this.retryAfter = retryAfter;
    }
  }

  const ask = async (method, path, body) => {
    const headers = { Accept: "application/json" };
    const kept = session.read();
    if (kept) headers.Authorization = `Bearer ${kept.token}`;
    if (body) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "omit" });
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

  /** One condition as a phrase that follows "the wallet holds". */
  const holding = (condition) => {
    const phrase = make("span");
    if (condition.token_id !== undefined) phrase.append(`token ${condition.token_id} of the collection `);
    else {
      const least = condition.min_balance ?? "1";
      phrase.append(least === "1" ? "a token of the collection " : `at least ${least} tokens of the collection `);
    }
    phrase.append(address(condition.contract), ` on ${chainName(condition.chain)}`);
    return phrase;
  };

  const ruleInWords = (rule, top = true) => {
    const several = rule.all ?? rule.any;
    if (!several) return make("p", {}, top ? "Whoever holds " : "holds ", holding(rule), top ? "." : "");
    if (several.length === 1) return ruleInWords(several[0], top);
    const words = rule.all
      ? (top ? "Whoever meets all of these:" : "meets all of these:")
      : (top ? "Whoever meets any one of these:" : "meets any one of these:");
    const list = make("ul", {}, ...several.map((inner) => make("li", {}, ruleInWords(inner, false))));
    return make("div", {}, make("p", { textContent: words }), list);
  };

  const showPolicy = () => {
    find("policy").hidden = false;
    find("policy-text").replaceChildren(
      video.policy ? ruleInWords(video.policy.rule) : "Only its creator, who has not said yet who else may.",
    );
  };

  /** The condition that stands at a path such as rule.all[0].any[1]. */
  const conditionAt = (path) => {
    let rule = video?.policy?.rule;
    for (const [, kind, place] of path.matchAll(/\.(all|any)\[(\d+)\]/g)) rule = rule?.[kind]?.[Number(place)];
    return rule?.kind ? rule : null;
  };

  const outcomeInWords = (outcome) => {
    const condition = conditionAt(outcome.path);
    const verdict = { yes: ["✓", "Met."], no: ["✕", "Not met."], unknown: ["?", "Could not be checked."] }[outcome.outcome]
      ?? ["?", outcome.outcome];
    const seen = make("p", { className: "outcome-seen" }, make("strong", { textContent: verdict[1] }));
    const value = outcome.value;
    if (/^0x[0-9a-fA-F]{40}$/.test(value ?? "")) seen.append(" The token belongs to ", address(value), ".");
    else if (/^\d+$/.test(value ?? "") && condition?.token_id === undefined) seen.append(` This wallet holds ${value}.`);
    else if (value) seen.append(` Seen: ${value}.`);
    // With a value the reason only says it once more.
    else if (outcome.reason) seen.append(` ${outcome.reason[0].toUpperCase()}${outcome.reason.slice(1)}${/[.!?]$/.test(outcome.reason) ? "" : "."}`);
    if (outcome.block) seen.append(` Read at block ${outcome.block.number}.`);
    const what = make("p", {}, "Hold ", holding(condition ?? outcome));
    return make(
      "li", { className: `outcome outcome-${outcome.outcome}` },
      make("span", { className: "outcome-mark", ariaHidden: "true", textContent: verdict[0] }), what, seen,
    );
  };

  // ---- Wallets (EIP-6963 announces them; window.ethereum is the old way)

  const announced = new Map();
  addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = event.detail ?? {};
    if (info?.uuid && provider?.request) announced.set(info.uuid, { name: String(info.name ?? "Wallet"), icon: info.icon, provider });
  });

  const chooseWallet = () => new Promise((resolve) => {
    const wallets = [...announced.values()];
    if (wallets.length === 0 && window.ethereum?.request) wallets.push({ name: "Browser wallet", provider: window.ethereum });
    if (wallets.length < 2) return resolve(wallets[0] ?? null);
    const dialog = find("wallets");
    let chosen;
    find("wallet-list").replaceChildren(...wallets.map((wallet) => {
      // Only pictures that are part of the announcement: an address would tell somebody who is looking at this page.
      const icon = /^data:image\//.test(wallet.icon ?? "")
        ? make("img", { src: wallet.icon, alt: "" })
        : make("span", { className: "wallet-blank" });
      const button = make("button", { type: "button" }, icon, make("span", { textContent: wallet.name }));
      button.onclick = () => { chosen = wallet; dialog.close(); };
      return make("li", {}, button);
    }));
    dialog.onclose = () => resolve(chosen ?? undefined);
    dialog.showModal();
  });

  const toHex = (text) => `0x${Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

  /** The chain to sign in with: one the film's policy names, because the server knows it; else the wallet's own. */
  const signInChain = async (provider) => {
    const first = (rule) => (rule ? rule.chain ?? first((rule.all ?? rule.any ?? [])[0]) : undefined);
    const named = first(video?.policy?.rule);
    return named ?? `eip155:${Number.parseInt(await provider.request({ method: "eth_chainId" }), 16)}`;
  };

  const signIn = async () => {
    if (busy) return;
    busy = true;
    const mine = ++turn;
    try {
      dispatchEvent(new Event("eip6963:requestProvider"));
      const wallet = await chooseWallet();
      if (wallet === undefined) return;
      if (wallet === null) {
        say("error", {
          eyebrow: "No wallet found",
          headline: "This browser has no wallet",
          text: "Install a wallet extension for Ethereum, or open this page in your wallet app's browser, and try again.",
          action: { label: "Try again", run: signIn },
        });
        return;
      }
      const { provider } = wallet;
      say("signing", { headline: "Look at your wallet", text: `${wallet.name} asks you to connect and then to sign a message. It costs nothing.`, progress: { text: "Waiting for your wallet" } });
      const [account] = await provider.request({ method: "eth_requestAccounts" });
      if (!account) throw Object.assign(new Error("The wallet shares no account."), { code: 4001 });
      const nonce = await ask("POST", "/v1/auth/nonce", { account: `${await signInChain(provider)}:${account}` });
      const signature = await provider.request({ method: "personal_sign", params: [toHex(nonce.message), account] });
      const made = await ask("POST", "/v1/auth/session", { message: nonce.message, signature });
      if (mine !== turn) return;
      session.keep(made);
      signedInWith = provider;
      provider.on?.("accountsChanged", (accounts) => {
        const now = session.read();
        const same = (accounts ?? []).some((other) => now?.account.toLowerCase().endsWith(other.toLowerCase()));
        if (now && signedInWith === provider && !same) signOut();
      });
      await load(true);
    } catch (error) {
      if (mine === turn) signInFailed(error);
    } finally {
      busy = false;
    }
  };

  const signInFailed = (error) => {
    const again = { label: "Try again", run: signIn };
    if (error?.code === 4001 || error?.code === "ACTION_REJECTED") {
      say("error", { eyebrow: "Not signed in", headline: "You declined in your wallet", text: "Nothing was signed and nothing was sent. You can try again whenever you like.", action: again });
    } else if (error?.code === -32002) {
      say("error", { eyebrow: "Not signed in", headline: "Your wallet is still asking", text: "It has an open request. Open the wallet, answer it there, and try again.", action: again });
    } else if (error instanceof Problem && ["nonce-used", "nonce-invalid", "message-expired"].includes(error.slug)) {
      say("error", { eyebrow: "Not signed in", headline: "That took too long", text: "The message to sign is good for a few minutes and for one time only. Sign a fresh one.", action: again });
    } else if (error instanceof Problem && error.status === 503) {
      say("error", { eyebrow: "Not signed in", headline: "Signing in is not possible at the moment", text: error.message, action: again });
    } else if (error instanceof Problem) {
      say("error", { eyebrow: "Not signed in", headline: "Signing in was refused", text: error.message, action: again });
    } else {
      say("error", { eyebrow: "Not signed in", headline: "Your wallet reported a problem", text: String(error?.message ?? error), action: again });
    }
  };

  const signOut = () => {
    turn++;
    clearTimeout(timer);
    stopPlayer();
    session.drop();
    load();
  };

  // ---- The film

  const stopPlayer = () => {
    hls?.destroy();
    hls = null;
    player.pause();
    player.removeAttribute("src");
    player.load();
    player.hidden = true;
  };

  const invite = () => say("invite", {
    eyebrow: "Token-gated film",
    headline: "Sign in to watch",
    text: "Your wallet shows that you hold what opens this film.",
    action: { label: "Sign in with your wallet", run: signIn },
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
      if (video.stage !== "ready") return await notReady(mine, play);
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
          action: inside ? { label: "Look again", run: () => load() } : { label: "Sign in with your wallet", run: signIn },
        });
      }
      if (error instanceof Problem && error.status === 503) return waitAndRetry(error, () => load(play));
      failed(error, () => load(play));
    }
  };

  const notReady = async (mine, play) => {
    if (video.stage === "failed") {
      return say("error", { eyebrow: "Transcode failed", headline: "This film could not be prepared", text: video.reason ?? "No reason was given." });
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
      text: "This page goes on by itself when the film is ready.",
      progress: total > 0 ? { part: done / total, text: `${done} of ${total} parts done` } : { text: "" },
    });
    await sleep(2);
    if (mine === turn) await load(play);
  };

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
    say("asking", { headline: "Asking the chain", text: "Your wallet is held against the film's policy.", progress: { text: "" }, over: from > 0 });
    try {
      const playback = await ask("POST", `/v1/videos/${wanted}/playback`);
      if (mine !== turn) return;
      await play(playback, from, mine);
    } catch (error) {
      if (mine !== turn) return;
      stopPlayer();
      if (!(error instanceof Problem)) return failed(error, () => watch(from));
      if (error.slug === "policy-refused") return refused(error);
      if (error.status === 401) {
        session.drop();
        return say("invite", { eyebrow: "Signed out", headline: "Your session has ended", text: "Sign in again to watch.", action: { label: "Sign in with your wallet", run: signIn } });
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

  const refused = (problem) => {
    const holder = session.read()?.account.split(":").pop();
    const text = make("span", {}, "The wallet ", holder ? address(holder) : "you signed in with");
    text.append(problem.conditions.length
      ? " does not meet the film's policy. This is what was asked, and what the chain said:"
      : " may not watch it: its creator has not said yet who may.");
    say("refused", {
      eyebrow: "No entry",
      headline: "This wallet does not open the film",
      text,
      outcomes: problem.conditions.map(outcomeInWords),
      action: { label: "Check again", run: () => watch() },
      second: { label: "Use another wallet", run: signOut },
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
    ].filter(Boolean).join(" · ");

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
  dispatchEvent(new Event("eip6963:requestProvider"));

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
