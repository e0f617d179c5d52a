//! Announcing and receiving, as tables of cases and as histories that nobody wrote.

use proptest::prelude::*;

use super::*;

fn sold(line: &str, sku: &str, quantity: i64, unit_price_minor: i64) -> PricedLine {
    PricedLine { line: line.to_owned(), sku: sku.to_owned(), title: "Cup".to_owned(), quantity, unit_price_minor }
}

/// Two lines of one SKU that cost differently, and another.
fn order() -> Vec<PricedLine> {
    vec![sold("cup", "cup", 2, 500), sold("cup-offer", "cup", 1, 100), sold("pot", "pot", 3, 1_000)]
}

fn units(parts: &[(&str, i64)]) -> Units {
    parts.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

/// What returns have of an order's lines.
fn taken(returns: &[(Status, Vec<ReturnLine>)]) -> BTreeMap<String, Share> {
    let mut taken: BTreeMap<String, Share> = BTreeMap::new();
    for (status, lines) in returns {
        for line in lines {
            taken.entry(line.line.clone()).or_default().add(line.taken(*status));
        }
    }
    taken
}

fn announced(returns: &[(Status, Vec<ReturnLine>)], wanted: &[(&str, i64)]) -> Result<Vec<ReturnLine>, Refusal> {
    announce(&order(), 4_100, &taken(returns), &units(wanted)).expect("the order makes sense")
}

#[test]
fn units_are_taken_from_the_orders_lines_and_never_more_than_were_sold() {
    let all_cups = announced(&[], &[("cup", 3)]).expect("announced");
    let by_line: Vec<(&str, i64, i64)> =
        all_cups.iter().map(|line| (line.line.as_str(), line.quantity, line.amount_minor)).collect();
    assert_eq!(by_line, [("cup", 2, 1_000), ("cup-offer", 1, 100)]);
    let too_many = |at_most| Err(Refusal::TooMany { sku: "cup".to_owned(), at_most });
    assert_eq!(announced(&[], &[("cup", 4)]), too_many(3));
    assert_eq!(announced(&[], &[("jug", 1)]), Err(Refusal::Unknown { sku: "jug".to_owned() }));
    for bound in [Status::Open, Status::Received, Status::Completed] {
        let mut lines = all_cups.clone();
        if bound != Status::Open {
            lines = receive(&lines, &Arrived { units: units(&[("cup", 3)]), ..Arrived::default() }).expect("received");
        }
        assert_eq!(announced(&[(bound, lines)], &[("cup", 1)]), too_many(0), "{bound:?}");
    }
    for free in [Status::Cancelled, Status::Expired, Status::Refused] {
        assert_eq!(announced(&[(free, all_cups.clone())], &[("cup", 3)]), Ok(all_cups.clone()), "{free:?}");
    }
}

#[test]
fn fewer_may_come_than_were_announced_and_the_rest_can_be_announced_again() {
    let lines = announced(&[], &[("cup", 3), ("pot", 1)]).expect("announced");
    let arrived = Arrived { units: units(&[("cup", 1), ("pot", 1)]), sellable: units(&[("pot", 1)]) };
    let received = receive(&lines, &arrived).expect("received");
    assert_eq!(refund_minor(&lines, Status::Open), 2_100);
    assert_eq!(refund_minor(&received, Status::Received), 1_500);
    assert_eq!(restock(&received), [ReturnedLine { sku: "pot".to_owned(), quantity: 1 }]);
    let again = announced(&[(Status::Completed, received)], &[("cup", 2)]).expect("announced");
    assert_eq!(refund_minor(&again, Status::Open), 600, "the other one of 5.00, and the one of 1.00");
}

#[test]
fn what_was_not_announced_does_not_come() {
    let lines = announced(&[], &[("cup", 2)]).expect("announced");
    let arrive = |wanted: &[(&str, i64)]| receive(&lines, &Arrived { units: units(wanted), ..Arrived::default() });
    assert_eq!(arrive(&[("cup", 3)]), Err(Refusal::TooMany { sku: "cup".to_owned(), at_most: 2 }));
    assert_eq!(arrive(&[("pot", 1)]), Err(Refusal::Unknown { sku: "pot".to_owned() }));
}

#[test]
fn an_order_is_returned_when_its_last_unit_is_back() {
    assert_eq!([0, 1, 2].map(|units| return_status(units, 2)), [NOT_RETURNED, "partially_returned", "returned"]);
}

#[test]
fn a_status_survives_its_spelling() {
    for status in Status::ALL {
        assert_eq!(Status::try_from(status.as_str().to_owned()).ok(), Some(status));
    }
    assert!(Status::try_from("lost".to_owned()).is_err());
}

proptest! {
    /// Returns that overlap, of which some come in part and some to nothing; then all that is left.
    #[test]
    fn all_returns_of_an_order_together_are_worth_what_was_paid(
        total in 0_i64..10_000,
        tries in prop::collection::vec((1_i64..4, 1_i64..4, 0_i64..4, 0_usize..3), 0..12),
    ) {
        let order = order();
        let mut returns: Vec<(Status, Vec<ReturnLine>)> = Vec::new();
        for (cups, pots, comes, ending) in tries {
            let wanted = units(&[("cup", cups), ("pot", pots)]);
            if let Ok(lines) = announce(&order, total, &taken(&returns), &wanted).expect("it makes sense") {
                returns.push((Status::Open, lines));
            }
            // Any return that is still open is decided, not only the newest.
            let open = returns.iter_mut().find(|(status, _)| *status == Status::Open);
            if let (Some((status, lines)), true) = (open, ending > 0) {
                let came = Arrived { units: units(&[("cup", comes.min(cups)), ("pot", 0)]), ..Arrived::default() };
                match receive(lines, &came) {
                    Ok(received) if ending == 1 => (*status, *lines) = (Status::Completed, received),
                    Ok(_) | Err(_) => *status = Status::Cancelled,
                }
            }
            let back: i64 = returns.iter().map(|(status, lines)| refund_minor(lines, *status)).sum();
            prop_assert!(back <= total);
        }
        for (status, lines) in &mut returns {
            if *status == Status::Open {
                let all = lines.iter().fold(Units::new(), |mut all, line| {
                    *all.entry(line.sku.clone()).or_default() += line.quantity;
                    all
                });
                *lines = receive(lines, &Arrived { units: all, ..Arrived::default() }).expect("all comes");
                *status = Status::Completed;
            }
        }
        for sku in ["cup", "pot"] {
            while let Ok(lines) = announce(&order, total, &taken(&returns), &units(&[(sku, 1)])).expect("it makes sense") {
                let came = Arrived { units: units(&[(sku, 1)]), ..Arrived::default() };
                returns.push((Status::Completed, receive(&lines, &came).expect("it comes")));
            }
        }
        let back: i64 = returns.iter().map(|(status, lines)| refund_minor(lines, *status)).sum();
        prop_assert_eq!(back, total);
    }
}
