"""A real Chromium, and wallets to put into its pages."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

OUTPUT = Path(__file__).resolve().parents[2] / "target" / "test-output"

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing of the browser's own goes to the network: what is tested here is our page.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]

# A wallet as an extension would be: announced by EIP-6963, asked by EIP-1193. The key stays in Python.
WALLET = """
(() => {
  const wallet = WALLET_SETTINGS;
  window.walletCalls = window.walletCalls ?? [];
  const refuse = (code, message) => { throw Object.assign(new Error(message), { code }); };
  const provider = {
    on() {},
    async request({ method, params }) {
      window.walletCalls.push(method);
      if (wallet.refuse === method) refuse(4001, "User rejected the request.");
      if (method === "eth_requestAccounts" || method === "eth_accounts") return [wallet.address];
      if (method === "eth_chainId") return wallet.chain;
      if (method === "personal_sign") return window[wallet.signer](params[0], params[1]);
      refuse(4200, `The wallet does not know ${method}.`);
    },
  };
  if (wallet.legacy) { window.ethereum = provider; return; }
  const info = Object.freeze({ uuid: wallet.uuid, name: wallet.name, icon: wallet.icon, rdns: "test.wallet" });
  const announce = () => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""

# A Solana wallet as an extension would be: registered by the Wallet Standard. The key stays in Python.
SOLANA_WALLET = """
(() => {
  const wallet = WALLET_SETTINGS;
  window.walletCalls = window.walletCalls ?? [];
  const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const fromHex = (text) => Uint8Array.from(text.match(/../g), (two) => Number.parseInt(two, 16));
  const note = (method) => {
    window.walletCalls.push(method);
    if (wallet.refuse === method) throw new Error("User rejected the request.");
  };
  const sign = async (signedMessage) => {
    return { signedMessage, signature: fromHex(await window[wallet.signer](toHex(signedMessage))) };
  };
  const chains = ["solana:mainnet", "solana:devnet"];
  const publicKey = fromHex(wallet.publicKey);
  const account = Object.freeze({ address: wallet.address, publicKey, chains, features: [wallet.feature] });
  const written = (input) => [
    `${input.domain} wants you to sign in with your Solana account:`, input.address, "", input.statement, "",
    `URI: ${input.uri}`, `Version: ${input.version}`, `Chain ID: ${input.chainId}`, `Nonce: ${input.nonce}`,
    `Issued At: ${input.issuedAt}`, `Expiration Time: ${input.expirationTime}`,
  ].join("\\n");
  const features = {
    "standard:connect": { version: "1.0.0", async connect() { note("connect"); return { accounts: [account] }; } },
    "standard:events": { version: "1.0.0", on() { return () => {}; } },
    "solana:signMessage": { version: "1.1.0", async signMessage(...inputs) {
      note("signMessage");
      return Promise.all(inputs.map(({ message }) => sign(message)));
    } },
    "solana:signIn": { version: "1.0.0", async signIn(...inputs) {
      note("signIn");
      const signed = (input) => sign(new TextEncoder().encode(written(input)));
      return Promise.all(inputs.map(async (input) => ({ account, ...await signed(input) })));
    } },
  };
  delete features[wallet.feature === "solana:signIn" ? "solana:signMessage" : "solana:signIn"];
  const { name, icon } = wallet;
  const standard = Object.freeze({ version: "1.0.0", name, icon, chains, features, accounts: [] });
  const register = (api) => api.register(standard);
  window.addEventListener("wallet-standard:app-ready", (event) => register(event.detail));
  window.dispatchEvent(new CustomEvent("wallet-standard:register-wallet", { detail: register }));
})();
"""

WATCH_CSP = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E"
    "%3Crect width='8' height='8' fill='%23{colour}'/%3E%3C/svg%3E"
)


class Window:
    """A page of its own browser context, what it complained about, and helpers to look at it."""

    def __init__(self, page: Page):
        self.page = page
        self.complaints: list[str] = []
        self.wallets = 0
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.add_init_script(WATCH_CSP)

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error":
            self.complaints.append(text)

    def give_wallet(self, wallet, name: str = "Test Wallet", refuse: str = "", legacy: bool = False) -> None:
        """Before `open`. `refuse` names a method that the wallet's user declines."""
        import json

        self.wallets += 1
        signer = f"signInPython{self.wallets}"
        self.page.expose_function(signer, lambda message, address: sign(wallet, message, address))
        settings = {
            "address": wallet.address.lower(),
            "chain": hex(int(wallet.chain.split(":")[1])),
            "signer": signer,
            "uuid": f"00000000-0000-4000-8000-{self.wallets:012d}",
            "name": name,
            "icon": ICON.format(colour=("81b4ff", "7fd6a4", "f2c879")[self.wallets % 3]),
            "refuse": refuse,
            "legacy": legacy,
        }
        self.page.add_init_script(WALLET.replace("WALLET_SETTINGS", json.dumps(settings)))

    def give_solana_wallet(
        self, wallet, name: str = "Solana Wallet", feature: str = "solana:signMessage", refuse: str = ""
    ) -> None:
        """Before `open`. It signs a message that it is given (solana:signMessage) or writes itself (solana:signIn)."""
        import json

        self.wallets += 1
        signer = f"signInPython{self.wallets}"
        self.page.expose_function(signer, lambda message: bytes(wallet.pair.sign_message(bytes.fromhex(message))).hex())
        settings = {
            "address": wallet.address,
            "publicKey": bytes(wallet.key).hex(),
            "signer": signer,
            "name": name,
            "icon": ICON.format(colour="b18cff"),
            "feature": feature,
            "refuse": refuse,
        }
        self.page.add_init_script(SOLANA_WALLET.replace("WALLET_SETTINGS", json.dumps(settings)))

    def choose(self, name: str) -> None:
        """Where several wallets are there, that one."""
        self.page.get_by_role("dialog", name="Which wallet?").get_by_role("button", name=name).click()

    def open(self, video: str | None = None) -> None:
        self.page.goto(f"/?video={video}" if video else "/")

    def state(self, name: str, seconds: float = 20) -> None:
        """Waits until the page is in that state."""
        expect(self.page.locator("body")).to_have_attribute("data-state", name, timeout=seconds * 1000)

    def sign_in(self) -> None:
        self.page.get_by_role("button", name="Sign in with your wallet").click()

    def time(self) -> float:
        return self.page.evaluate("document.querySelector('video').currentTime")

    def wait_for_time(self, after: float, seconds: float = 30) -> float:
        """Waits until the film has played past `after`."""
        self.page.wait_for_function(
            "after => { const v = document.querySelector('video'); return !v.paused && v.currentTime > after; }",
            arg=after,
            timeout=seconds * 1000,
        )
        return self.time()

    def picture(self, name: str) -> None:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=OUTPUT / f"page-{name}.png")

    def violations(self) -> list[str]:
        return self.page.evaluate("window.violations")

    def is_clean(self, *expected: str) -> None:
        """No console error and no CSP violation, but for errors that match one of `expected`."""
        surprising = [text for text in self.complaints if not any(re.search(wanted, text) for wanted in expected)]
        assert surprising == []
        assert self.violations() == []


def sign(wallet, message: str, address: str) -> str:
    assert address.lower() == wallet.address.lower(), "the page asked for another account's signature"
    return wallet.sign(bytes.fromhex(message.removeprefix("0x")))


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        path = os.environ.get("STREAMGATE_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium):
    """A fresh window with nothing kept from another test."""
    from tests.kit.client import edge_origin

    context = chromium.new_context(base_url=edge_origin(), viewport={"width": 1280, "height": 960})
    yield Window(context.new_page())
    context.close()


@pytest.fixture
def phone(chromium):
    """The same on a phone's screen."""
    from tests.kit.client import edge_origin

    context = chromium.new_context(
        base_url=edge_origin(),
        viewport={"width": 360, "height": 740},
        device_scale_factor=2,
        is_mobile=True,
        has_touch=True,
    )
    yield Window(context.new_page())
    context.close()


@pytest.fixture
def players(chromium, stack):
    """`players(playback)` starts every player on a film."""
    from tests.browser.players import Players

    players = Players(chromium, stack.edge_origin)
    yield players
    players.close()
