"""The page in a real browser, through the edge: a holder watches, a non-holder reads why not.

`ready_video` is a published film of some 30 s whose policy asks for the chain's token, `holder` and `stranger` are
wallets (tests/kit/wallet.py) of which only the first holds it. `opened_by` gives the film another policy for one test.
"""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.kit.solana import Mint, SolanaWallet

# Chromium writes every 4xx and 5xx it fetches to the console.
FORBIDDEN = "Failed to load resource: .*403"
UNAVAILABLE = "Failed to load resource: .*503"


def video_id(video) -> str:
    return video["id"] if isinstance(video, dict) else str(video)


@pytest.fixture
def opened_by(as_creator, ready_video, policy):
    def change(rule: dict) -> str:
        as_creator.set_policy(ready_video["id"], {"version": 1, "rule": rule})
        return ready_video["id"]

    yield change
    as_creator.set_policy(ready_video["id"], policy)


@pytest.fixture(scope="module")
def mint(solana) -> Mint:
    """An SPL token of six decimals."""
    return Mint.create(solana, SolanaWallet.fresh(name="issuer"), decimals=6)


@pytest.fixture(scope="module")
def solana_holder(mint) -> SolanaWallet:
    """Has 2.5 of it."""
    wallet = SolanaWallet.fresh(name="Solana holder")
    mint.mint_to(wallet, 2_500_000)
    return wallet


def kept_accounts(window) -> list[str]:
    return json.loads(window.page.evaluate("sessionStorage.getItem('streamgate.session')"))["accounts"]


def test_a_holder_signs_in_plays_and_seeks(window, ready_video, holder):
    window.give_wallet(holder)
    window.open(video_id(ready_video))
    window.state("invite")
    window.picture("invite")
    expect(window.page.locator("#policy-text")).to_contain_text("collection")
    window.sign_in()
    window.state("playing")

    first = window.wait_for_time(0.5)
    second = window.wait_for_time(first + 1)
    assert second > first
    window.picture("playing")

    length = window.page.evaluate("document.querySelector('video').duration")
    target = length * 0.6
    window.page.evaluate("where => { document.querySelector('video').currentTime = where; }", target)
    after_seek = window.wait_for_time(target + 0.5)
    assert after_seek < target + 10, "the film jumped past the place that was asked for"
    assert window.wait_for_time(after_seek + 1) > after_seek
    window.picture("seeked")

    seen = window.page.evaluate(
        "(() => { const v = document.querySelector('video');"
        " return { width: v.videoWidth, sound: v.webkitAudioDecodedByteCount, error: v.error && v.error.message }; })()"
    )
    assert seen["width"] > 0 and seen["error"] is None
    # The sound is a rendition of its own: a player that leaves it out plays on in silence.
    assert seen["sound"] > 0, "no sound was decoded"
    window.is_clean()


def test_the_storyboard_shows_places_and_goes_there(window, ready_video, holder):
    window.give_wallet(holder)
    window.open(video_id(ready_video))
    window.state("invite")
    window.sign_in()
    window.state("playing")
    window.wait_for_time(0.5)
    line, place, picture = (window.page.locator(name) for name in ("#places", "#place", "#place-picture"))
    expect(line).to_be_visible()
    width = line.bounding_box()["width"]
    line.hover(position={"x": width / 2, "y": 8})
    expect(place).to_contain_text("0:15")
    first = picture.evaluate("element => element.style.backgroundImage + element.style.backgroundPosition")
    # The picture itself is there, and as large as it is said to be.
    address = picture.evaluate("element => element.style.backgroundImage.slice(5, -2)")
    size = window.page.evaluate(
        "address => new Promise((loaded, failed) => { const image = new Image(); image.onerror = failed;"
        " image.onload = () => loaded([image.naturalWidth, image.naturalHeight]); image.src = address; })",
        address,
    )
    assert size == [800, 90]
    window.picture("place")
    line.hover(position={"x": width * 0.9, "y": 8})
    assert first != picture.evaluate("element => element.style.backgroundImage + element.style.backgroundPosition")
    line.click(position={"x": width * 0.6, "y": 8})
    assert 17.5 < window.wait_for_time(17.5) < 25
    assert "poster.jpg" in window.page.evaluate("document.querySelector('video').poster")
    window.is_clean()


def test_a_non_holder_reads_which_condition_failed(window, ready_video, stranger):
    window.give_wallet(stranger)
    window.open(video_id(ready_video))
    window.state("invite")
    window.sign_in()
    window.state("refused")
    window.picture("refused")
    expect(window.page.get_by_role("heading", name="This wallet does not open the film")).to_be_visible()
    outcomes = window.page.locator(".outcome")
    assert outcomes.count() >= 1
    expect(outcomes.first).to_contain_text("collection")
    expect(outcomes.first).to_contain_text("Not met.")
    expect(window.page.locator("video")).to_be_hidden()
    assert window.page.evaluate("document.querySelector('video').currentSrc") == ""
    window.is_clean(FORBIDDEN)


def test_the_session_lives_in_this_tab_and_ends_with_sign_out(window, ready_video, holder):
    window.give_wallet(holder)
    window.open(video_id(ready_video))
    window.sign_in()
    window.state("playing")
    kept = json.loads(window.page.evaluate("sessionStorage.getItem('streamgate.session')"))
    assert kept["account"].lower().endswith(holder.address.lower())
    assert window.page.evaluate("localStorage.length") == 0
    # No cookie but the film's own, which no script can read.
    cookies = window.page.context.cookies()
    assert {cookie["path"] for cookie in cookies} == {f"/v/{video_id(ready_video)}/"} and all(cookie["httpOnly"] for cookie in cookies)
    assert window.page.evaluate("document.cookie") == ""

    # A reload keeps the session, and does not start the film by itself.
    window.page.reload()
    window.page.get_by_role("button", name="Watch").click()
    window.wait_for_time(0.2)

    window.page.get_by_role("button", name="Sign out").click()
    window.state("invite")
    assert window.page.evaluate("sessionStorage.length") == 0
    expect(window.page.locator("video")).to_be_hidden()
    window.page.wait_for_timeout(500)
    assert window.page.context.cookies() == [], "signing out gives the grant back"
    window.page.reload()
    window.state("invite")
    expect(window.page.get_by_role("button", name="Sign in with your wallet")).to_be_visible()
    window.is_clean()


def test_without_a_wallet_the_page_says_so(window, ready_video):
    window.open(video_id(ready_video))
    window.sign_in()
    window.state("error")
    expect(window.page.get_by_role("heading", name="This browser has no wallet")).to_be_visible()
    window.is_clean()


def test_declining_in_the_wallet_is_no_fault(window, ready_video, holder):
    window.give_wallet(holder, refuse="personal_sign")
    window.open(video_id(ready_video))
    window.sign_in()
    window.state("error")
    expect(window.page.get_by_role("heading", name="You declined in your wallet")).to_be_visible()
    assert window.page.evaluate("sessionStorage.length") == 0
    expect(window.page.get_by_role("button", name="Try again")).to_be_enabled()
    window.is_clean()


def test_several_wallets_are_a_choice(window, ready_video, holder, stranger):
    window.give_wallet(stranger, name="Wallet of the stranger")
    window.give_wallet(holder, name="Wallet of the holder")
    window.open(video_id(ready_video))
    window.sign_in()
    dialog = window.page.get_by_role("dialog", name="Which wallet?")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button")).to_have_count(3)
    window.picture("wallets")
    dialog.get_by_role("button", name="Wallet of the holder").click()
    window.state("playing")
    window.is_clean()


def test_a_wallet_of_the_old_kind_works_too(window, ready_video, holder):
    window.give_wallet(holder, legacy=True)
    window.open(video_id(ready_video))
    window.sign_in()
    window.state("playing")
    window.is_clean()


@pytest.mark.parametrize("feature", ["solana:signMessage", "solana:signIn"])
def test_a_solana_wallet_signs_in_and_plays(window, opened_by, mint, solana_holder, feature):
    film = opened_by(mint.condition("2.5"))
    window.give_solana_wallet(solana_holder, feature=feature)
    window.open(film)
    window.state("invite")
    expect(window.page.locator("#policy-text")).to_contain_text("holds at least 2.5 of the token")
    window.sign_in()
    window.state("playing")
    window.wait_for_time(0.5)
    assert window.page.evaluate("window.walletCalls") == ["connect", feature.removeprefix("solana:")]
    assert kept_accounts(window) == [solana_holder.account]
    window.is_clean()


def test_declining_in_a_solana_wallet_is_no_fault(window, opened_by, mint, solana_holder):
    window.give_solana_wallet(solana_holder, refuse="signMessage")
    window.open(opened_by(mint.condition()))
    window.sign_in()
    window.state("error")
    expect(window.page.get_by_role("heading", name="You declined in your wallet")).to_be_visible()
    assert window.page.evaluate("sessionStorage.length") == 0
    window.is_clean()


def test_a_linked_solana_wallet_adds_what_is_missing(window, opened_by, token, mint, holder, solana_holder):
    film = opened_by({"all": [token.condition(), mint.condition("2.5")]})
    window.give_wallet(holder, name="Wallet of Ethereum")
    window.give_solana_wallet(solana_holder, name="Wallet of Solana")
    window.open(film)
    window.sign_in()
    window.choose("Wallet of Ethereum")
    # What either wallet holds is not enough by itself.
    window.state("refused")
    outcomes = window.page.locator(".outcome")
    expect(outcomes).to_have_count(2)
    expect(outcomes.nth(0)).to_contain_text("Met. This wallet holds ")
    expect(outcomes.nth(1)).to_contain_text("Not met. This wallet holds 0.")

    window.page.get_by_role("button", name="Link another wallet").click()
    window.choose("Wallet of Solana")
    window.state("playing")
    window.wait_for_time(0.5)
    assert [account.lower() for account in kept_accounts(window)] == [
        holder.account.lower(),
        solana_holder.account.lower(),
    ]
    expect(window.page.locator("#account-address")).to_contain_text("+ 1")
    window.is_clean(FORBIDDEN)


def test_a_wallet_that_is_signed_in_is_not_linked_again(window, ready_video, stranger):
    window.give_wallet(stranger)
    window.open(video_id(ready_video))
    window.sign_in()
    window.state("refused")
    window.page.get_by_role("button", name="Link another wallet").click()
    window.state("error")
    expect(window.page.get_by_role("heading", name="This wallet is signed in already")).to_be_visible()
    assert len(kept_accounts(window)) == 1
    window.page.get_by_role("button", name="Back").click()
    window.page.get_by_role("button", name="Watch").click()
    window.state("refused")
    window.is_clean(FORBIDDEN)


def test_a_refusal_says_of_each_condition_what_is_asked_and_what_was_seen(
    window, opened_by, token, mint, solana_holder, caip2
):
    film = opened_by(
        {
            "any": [
                mint.condition("3"),
                token.condition(ids=[7]),
                {"kind": "time", "until": "2020-01-01T00:00:00Z"},
                {"kind": "accounts", "allow": [f"{caip2}:0x{'ab' * 20}"]},
                {"all": [{"none": [mint.condition("1")]}, {"kind": "native", "chain": caip2, "min": "0.5"}]},
            ]
        }
    )
    window.give_solana_wallet(solana_holder)
    window.open(film)
    window.sign_in()
    window.state("refused")
    window.picture("refused-conditions")
    said = window.page.locator(".outcome")
    expect(said).to_have_count(6)
    for number, texts in enumerate(
        [
            ("whoever holds at least 3 of the token", "Not met. This wallet holds 2.5.", "Read at slot "),
            ("whoever holds token 7 of the collection", "Not met. This wallet holds 0.", "Read at block "),
            ("whoever comes before", "Not met. Ended at "),
            ("the creator's list", "Not met. The account is not on the list."),
            ("nobody who holds at least 1 of the token", "Not met. This wallet holds 2.5.", "Read at slot "),
            ("whoever has at least 0.5 of the own coin of Ethereum", "Not met. This wallet holds 0."),
        ]
    ):
        for text in texts:
            expect(said.nth(number)).to_contain_text(text)
    # The list is its creator's secret.
    assert "ab" * 20 not in window.page.content()
    window.is_clean(FORBIDDEN)


def test_a_token_that_can_not_be_searched_for_is_named(window, opened_by, token, holder):
    # The collection can't list a wallet's tokens, and the range is too wide to look at each.
    window.give_wallet(holder)
    window.open(opened_by(token.condition(ids=["1-1000"])))
    window.sign_in()
    window.state("refused")
    box = window.page.get_by_label("Number of a token that you hold")
    box.fill("999")
    window.page.get_by_role("button", name="Look at it").click()
    # Somebody else's, or nobody's: naming it proves nothing.
    expect(box).to_have_value("")
    window.state("refused")
    box.fill("1")
    window.page.get_by_role("button", name="Look at it").click()
    window.state("playing")
    window.wait_for_time(0.2)
    window.is_clean(FORBIDDEN)


def test_an_older_answer_is_said_to_be_one(window, ready_video, holder):
    def graced(route):
        answer = route.fetch()
        body = answer.json()
        body["grant"]["grace"] = True
        route.fulfill(response=answer, json=body)

    window.page.route("**/playback", graced)
    window.give_wallet(holder)
    window.open(video_id(ready_video))
    window.sign_in()
    window.state("playing")
    expect(window.page.locator("#meta")).to_contain_text("older answer")
    window.is_clean()


def test_unavailable_is_waited_for_and_is_no_refusal(window, ready_video, holder):
    problem = {
        "type": "https://streamgate.dev/problems/unavailable",
        "title": "Unavailable",
        "status": 503,
        "detail": "The chain cannot be read.",
    }
    refused = []

    def first_time(route):
        if refused:
            return route.continue_()
        refused.append(1)
        return route.fulfill(
            status=503,
            headers={"Retry-After": "2", "Content-Type": "application/problem+json"},
            body=json.dumps(problem),
        )

    window.page.route("**/playback", first_time)
    window.give_wallet(holder)
    window.open(video_id(ready_video))
    window.sign_in()
    window.state("waiting")
    window.picture("waiting")
    window.state("playing")
    window.is_clean(UNAVAILABLE)


def test_a_film_that_is_not_ready_shows_how_far_it_is_and_goes_on(window, ready_video):
    transcoding = {
        "id": video_id(ready_video),
        "title": "Half-done film",
        "owner": "0x" + "ab" * 20,
        "stage": "transcoding",
        "size": 1,
        "content_type": "video/mp4",
        "tasks_done": 3,
        "tasks_total": 8,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    asked = []

    def first_time(route):
        asked.append(1)
        return route.fulfill(json=transcoding) if len(asked) == 1 else route.continue_()

    window.page.route(f"**/v1/videos/{video_id(ready_video)}", first_time)
    window.open(video_id(ready_video))
    window.state("preparing")
    expect(window.page.locator("#progress-text")).to_have_text("3 of 8 parts done")
    window.picture("preparing")
    window.state("invite")
    window.is_clean()


def test_a_grant_that_ends_is_asked_for_again_where_the_film_was(window, ready_video, holder):
    grants, media, held = [], [], []
    window.page.on("request", lambda request: grants.append(1) if request.url.endswith("/playback") else None)

    def end_first_grant(route):
        # The beginning of the film goes through. What comes then is held back until the grant has ended.
        media.append(1)
        if len(grants) > 1 or len(media) <= 6:
            route.continue_()
        else:
            held.append(route)

    window.page.route(re.compile(r"\.(m4s|mp4)$"), end_first_grant)
    window.give_wallet(holder)
    window.open(video_id(ready_video))
    window.sign_in()
    before = window.wait_for_time(1.5)
    assert len(grants) == 1 and held, "the whole film was fetched before its grant could end"
    # What the player fetches until it asks for a new grant is refused, as the edge refuses an expired signature.
    for _ in range(1200):
        while held:
            held.pop().fulfill(status=403, body="")
        if len(grants) > 1:
            break
        window.page.wait_for_timeout(50)
    assert len(grants) == 2
    window.state("playing")
    assert window.wait_for_time(before) < before + 8, "the film did not go on where it was"
    window.wait_for_time(before + 6)
    assert len(grants) == 2
    window.is_clean(FORBIDDEN)


def test_an_unknown_film_is_said_to_be_unknown(window):
    window.open("0" * 32)
    window.state("missing")
    expect(window.page.get_by_role("heading", name="There is no such film")).to_be_visible()
    window.is_clean("Failed to load resource: .*404")


def test_the_landing_page_takes_an_id(window, ready_video):
    window.open()
    window.state("landing")
    window.picture("landing")
    box = window.page.get_by_label("The film's id or its whole address")
    box.fill("nonsense")
    window.page.get_by_role("button", name="Open film").click()
    expect(window.page.get_by_role("alert")).to_contain_text("not a film's id")
    box.fill(f"https://films.example/?video={video_id(ready_video)}")
    window.page.get_by_role("button", name="Open film").click()
    window.state("invite")
    assert window.page.url.endswith(f"/?video={video_id(ready_video)}")
    window.is_clean()


def test_it_fits_a_phone(phone, ready_video, stranger):
    phone.give_wallet(stranger)
    phone.open()
    phone.state("landing")
    phone.picture("phone-landing")
    assert_fits(phone)
    phone.open(video_id(ready_video))
    phone.state("invite")
    phone.picture("phone-invite")
    assert_fits(phone)
    phone.sign_in()
    phone.state("refused")
    phone.picture("phone-refused")
    assert_fits(phone)
    phone.is_clean(FORBIDDEN)


def assert_fits(window) -> None:
    sizes = window.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert sizes[0] <= sizes[1], f"the page is {sizes[0]} wide on a screen of {sizes[1]}"
    cut = window.page.evaluate(
        "(() => { const card = document.querySelector('#card'), stage = document.querySelector('#stage');"
        " return !stage.offsetParent ? 0 : card.scrollHeight - stage.clientHeight; })()"
    )
    assert cut <= 0, f"{cut} pixels of the message are cut off"
