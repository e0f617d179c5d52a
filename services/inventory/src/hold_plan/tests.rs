//! The planner by example, and by properties over random shops.

use proptest::prelude::*;

use super::*;

const NEAR: Uuid = Uuid::from_u128(1);
const FAR: Uuid = Uuid::from_u128(2);

fn shop() -> Account {
    Account { id: Uuid::from_u128(9), livemode: false }
}

fn free(sku: &str, warehouse_id: Uuid, quantity: i64) -> FreeStock {
    let priority = if warehouse_id == NEAR { 1 } else { 2 };
    FreeStock { account: shop(), sku: sku.to_owned(), warehouse_id, priority, quantity }
}

fn line(sku: &str, quantity: i64) -> HoldLine {
    HoldLine { sku: sku.to_owned(), quantity }
}

fn pick(sku: &str, warehouse_id: Uuid, quantity: i64) -> Pick {
    Pick { sku: sku.to_owned(), warehouse_id, quantity }
}

fn plan_one(free_stock: Vec<FreeStock>, lines: &[HoldLine]) -> Plan {
    plan_all(free_stock, &[Order { account: shop(), lines }]).remove(0)
}

#[test]
fn one_warehouse_with_everything_beats_a_nearer_one_with_a_part() {
    let stock = vec![free("cup", NEAR, 5), free("cup", FAR, 5), free("pot", FAR, 1)];
    assert_eq!(
        plan_one(stock, &[line("cup", 2), line("pot", 1)]),
        Plan::Hold(vec![pick("cup", FAR, 2), pick("pot", FAR, 1)])
    );
}

#[test]
fn the_lower_priority_number_is_preferred_among_equals() {
    let stock = vec![free("cup", FAR, 5), free("cup", NEAR, 5)];
    assert_eq!(plan_one(stock, &[line("cup", 5)]), Plan::Hold(vec![pick("cup", NEAR, 5)]));
}

#[test]
fn a_line_is_split_only_when_no_warehouse_has_all_of_it() {
    let stock = vec![free("cup", NEAR, 2), free("cup", FAR, 3), free("pot", NEAR, 1)];
    assert_eq!(
        plan_one(stock.clone(), &[line("cup", 3), line("pot", 1)]),
        Plan::Hold(vec![pick("cup", FAR, 3), pick("pot", NEAR, 1)])
    );
    assert_eq!(plan_one(stock, &[line("cup", 4)]), Plan::Hold(vec![pick("cup", NEAR, 2), pick("cup", FAR, 2)]));
}

#[test]
fn lines_of_the_same_sku_add_up_and_a_refusal_names_what_is_short() {
    let stock = vec![free("cup", NEAR, 3), free("pot", NEAR, 9)];
    let Plan::OutOfStock(shortages) = plan_one(stock, &[line("cup", 2), line("pot", 1), line("cup", 2)]) else {
        panic!("four cups were promised of three");
    };
    assert_eq!(describe(&shortages), "cup: wanted 4, available 3");
}

#[test]
fn a_refusal_lists_twenty_and_counts_the_rest() {
    let lines: Vec<HoldLine> = (0..25).map(|n| line(&format!("sku-{n:02}"), 1)).collect();
    let Plan::OutOfStock(shortages) = plan_one(vec![], &lines) else { panic!("nothing was there") };
    assert!(describe(&shortages).ends_with("sku-19: wanted 1, available 0; and 5 more"));
}

#[test]
fn lines_that_make_no_sense_hold_nothing() {
    let stock = || vec![free("cup", NEAR, 3)];
    for lines in [vec![], vec![line("cup", 0)], vec![line("cup", 1), line("cup", -1)]] {
        assert_eq!(plan_one(stock(), &lines), Plan::Unusable, "{lines:?}");
    }
    let lines = [line("cup", i64::MAX), line("cup", i64::MAX)];
    assert!(matches!(plan_one(stock(), &lines), Plan::OutOfStock(_)));
}

#[test]
fn another_shops_stock_is_out_of_reach() {
    let live = Account { livemode: true, ..shop() };
    let plans = plan_all(vec![free("cup", NEAR, 3)], &[Order { account: live, lines: &[line("cup", 1)] }]);
    assert!(matches!(plans.as_slice(), [Plan::OutOfStock(_)]));
}

/// Three SKUs in three warehouses.
fn any_stock() -> impl Strategy<Value = Vec<FreeStock>> {
    prop::collection::vec(0_i64..8, 9).prop_map(|quantities| {
        let row = |(n, quantity): (usize, i64)| FreeStock {
            account: shop(),
            sku: format!("sku-{}", n % 3),
            warehouse_id: Uuid::from_u128(n as u128 / 3),
            priority: i32::try_from(n / 3).unwrap_or(0) % 2,
            quantity,
        };
        quantities.into_iter().enumerate().map(row).collect()
    })
}

fn any_orders() -> impl Strategy<Value = Vec<Vec<HoldLine>>> {
    let line = (0_u8..3, 1_i64..6).prop_map(|(sku, quantity)| line(&format!("sku-{sku}"), quantity));
    prop::collection::vec(prop::collection::vec(line, 1..4), 1..12)
}

fn plans_of(stock: &[FreeStock], orders: &[Vec<HoldLine>]) -> Vec<Plan> {
    let orders: Vec<Order<'_>> = orders.iter().map(|lines| Order { account: shop(), lines }).collect();
    plan_all(stock.to_vec(), &orders)
}

fn picked(plans: &[Plan]) -> impl Iterator<Item = &Pick> {
    plans.iter().flat_map(|plan| match plan {
        Plan::Hold(picks) => picks.as_slice(),
        Plan::OutOfStock(_) | Plan::Unusable => &[],
    })
}

proptest! {
    #[test]
    fn no_shelf_gives_more_than_it_has(stock in any_stock(), orders in any_orders()) {
        let plans = plans_of(&stock, &orders);
        for shelf in &stock {
            let taken: i64 = picked(&plans)
                .filter(|pick| pick.sku == shelf.sku && pick.warehouse_id == shelf.warehouse_id)
                .map(|pick| pick.quantity)
                .sum();
            prop_assert!(taken <= shelf.quantity, "{taken} of {shelf:?}");
        }
    }

    /// An order is served exactly when what the earlier ones left suffices, and then gets exactly what it wants.
    #[test]
    fn orders_are_served_wholly_or_not_at_all_and_in_order(stock in any_stock(), orders in any_orders()) {
        let mut left: HashMap<String, i64> = HashMap::new();
        for shelf in &stock {
            *left.entry(shelf.sku.clone()).or_default() += shelf.quantity;
        }
        for (lines, plan) in orders.iter().zip(plans_of(&stock, &orders)) {
            let wanted = add_up(lines).expect("the generated lines are usable");
            let suffices = wanted.iter().all(|(sku, quantity)| left.get(*sku).is_some_and(|left| left >= quantity));
            prop_assert_eq!(suffices, matches!(plan, Plan::Hold(_)));
            let mut got: BTreeMap<&str, i64> = BTreeMap::new();
            for pick in picked(std::slice::from_ref(&plan)) {
                prop_assert!(pick.quantity > 0);
                *got.entry(&pick.sku).or_default() += pick.quantity;
                *left.get_mut(&pick.sku).expect("a pick comes from a shelf") -= pick.quantity;
            }
            prop_assert_eq!(got, if suffices { wanted } else { BTreeMap::new() });
        }
    }

    #[test]
    fn who_comes_later_changes_nothing_for_who_came_before(
        stock in any_stock(), orders in any_orders(), cut in 0_usize..12,
    ) {
        let cut = cut.min(orders.len());
        prop_assert_eq!(plans_of(&stock, &orders[..cut]), plans_of(&stock, &orders)[..cut].to_vec());
    }
}
