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
