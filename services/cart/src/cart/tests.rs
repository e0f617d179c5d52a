//! The cart's rules as tables of cases.

use super::*;

const SAGA: Uuid = Uuid::from_u128(1);
const OTHER_SAGA: Uuid = Uuid::from_u128(2);

fn line(name: &str, unit_price_minor: i64) -> Line {
    Line { name: name.into(), sku: name.into(), title: name.into(), quantity: 1, unit_price_minor, own_price: false }
}

fn cart(lines: &[Line]) -> Cart {
    Cart {
        id: Uuid::from_u128(7),
        account: Account { id: Uuid::from_u128(8), livemode: false },
        currency: Currency::GBP,
        state: State::Open,
        version: FIRST_VERSION,
        created_at: OffsetDateTime::UNIX_EPOCH,
        lines: lines.to_vec(),
    }
}

fn offer(price_minor: i64) -> Option<Offer> {
    Some(Offer { title: "Lantern".into(), active: true, price_minor: Some(price_minor) })
}

fn gbp(minor_units: i64) -> Option<Money> {
    Some(Money::new(minor_units, Currency::GBP))
}

#[test]
fn a_new_carts_lines_are_sorted_and_an_unsellable_one_is_named_by_its_position() {
    let wanted = |name: &str| WantedLine { name: name.into(), sku: name.into(), quantity: 1, own_price_minor: None };
    let Cart { id, account, currency, created_at, .. } = cart(&[]);
    let new = NewCart { id, account, currency, created_at, lines: vec![wanted("b"), wanted("a")] };
    let opened = Cart::open(new.clone(), &[offer(2), offer(1)]).expect("both are for sale");
    assert_eq!(opened.lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let refusal = Cart::open(new, &[offer(2), None]).expect_err("the second is unknown");
    assert!(matches!(refusal, OpenRefusal::NotForSale { position: 1, .. }), "{refusal}");
}

#[test]
fn a_line_is_added_replaced_and_removed_and_each_edit_is_a_version() {
    let added = cart(&[line("b", 2)]).put_line(line("a", 1)).expect("added");
    let replaced = added.put_line(line("b", 5)).expect("replaced");
    assert_eq!(replaced.total(), Ok(Money::new(6, Currency::GBP)));
    let removed = replaced.remove_line("a").expect("removed");
    assert_eq!((removed.lines.len(), removed.version), (1, FIRST_VERSION + 3));
    assert_eq!(removed.remove_line("a"), Err(EditRefusal::NoSuchLine));
}

#[test]
fn a_cart_takes_no_more_lines_than_the_limit_and_no_total_that_does_not_fit() {
    let full: Vec<Line> = (0..LINES_MAX).map(|n| line(&format!("{n:04}"), 1)).collect();
    assert_eq!(cart(&full).put_line(line("x", 1)), Err(EditRefusal::TooManyLines));
    assert_eq!(cart(&full).put_line(line("0000", i64::MAX)), Err(EditRefusal::TotalOverflow(TotalOverflow)));
    assert!(cart(&full).put_line(line("0000", 2)).is_ok(), "replacing a line of a full cart");
}

#[test]
fn a_cart_that_a_checkout_has_or_had_is_not_edited() {
    for (state, refusal) in
        [(State::Locked { by: SAGA }, EditRefusal::Locked), (State::Closed { by: SAGA }, EditRefusal::Closed)]
    {
        let cart = Cart { state, ..cart(&[line("a", 1)]) };
        assert_eq!(cart.clone().put_line(line("b", 1)), Err(refusal.clone()));
        assert_eq!(cart.remove_line("a"), Err(refusal));
    }
}

#[test]
fn locking_prices_the_cart_anew_except_for_the_shops_own_prices() {
    let own = Line { own_price: true, ..line("b", 7) };
    let mut cart = cart(&[line("a", 1), own]);
    let priced = cart.lock(SAGA, gbp(107), &[offer(100), offer(999)]).expect("locked");
    assert_eq!(priced.total, Money::new(107, Currency::GBP));
    assert_eq!(cart.state, State::Locked { by: SAGA });
    let again = cart.lock(SAGA, None, &[offer(5), offer(5)]).expect("the same checkout asks again");
    assert_eq!((again.total, cart.version), (priced.total, FIRST_VERSION + 1));
}

#[test]
fn each_refusal_of_a_lock_has_its_code_and_leaves_the_cart_alone() {
    let a = [line("a", 1)];
    let usd = Some(Money::new(100, Currency::USD));
    let cases: Vec<(&str, Cart, Option<Money>, Option<Offer>)> = vec![
        ("cart_locked", Cart { state: State::Locked { by: OTHER_SAGA }, ..cart(&a) }, None, offer(100)),
        ("cart_closed", Cart { state: State::Closed { by: OTHER_SAGA }, ..cart(&a) }, None, offer(100)),
        ("cart_empty", cart(&[]), None, None),
        ("currency_mismatch", cart(&a), usd, offer(100)),
        ("product_unavailable", cart(&a), None, None),
        ("total_overflow", cart(&[Line { quantity: 2, ..line("a", 1) }]), None, offer(i64::MAX)),
        ("nothing_to_pay", cart(&a), None, offer(0)),
        ("cart_changed", cart(&a), gbp(1), offer(100)),
    ];
    for (code, before, expected_total, offer) in cases {
        let mut cart = before.clone();
        let refusal = cart.lock(SAGA, expected_total, &[offer]).expect_err(code);
        assert_eq!((refusal.code(), cart), (code, before));
    }
}

#[test]
fn a_cart_that_no_saga_could_carry_is_refused_and_stays_open() {
    let lock = |count: usize, title: &str| {
        let lines: Vec<Line> = (0..count).map(|n| line(&format!("{n:05}"), 1)).collect();
        let offer = Some(Offer { title: title.to_owned(), active: true, price_minor: Some(1) });
        let mut cart = cart(&lines);
        (cart.lock(SAGA, None, &vec![offer; count]), cart.state)
    };
    // The largest order of the data that we replay, with a title as long as its longest.
    let longest = "CHILDRENS CUTLERY RETROSPOT RED PINK";
    assert!(lock(1_114, longest).0.is_ok());
    for (count, title) in [(LINES_MAX, longest), (600, &"x".repeat(500))] {
        let (refused, state) = lock(count, title);
        assert_eq!((refused.expect_err("too large").code(), state), ("cart_too_large", State::Open), "{count}");
    }
}
