//! Into which warehouses goods go back that were returned: those that sold them, each never more than it sold. No I/O.

use uuid::Uuid;

/// A sold line of a hold: so many of a SKU from one warehouse, and how many of them are back already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldLine {
    pub sku: String,
    pub warehouse_id: Uuid,
    pub sold: i64,
    pub back: i64,
}

/// Goods on their way back into one warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restock {
    pub sku: String,
    pub warehouse_id: Uuid,
    pub quantity: i64,
}

/// More is to come back than was sold.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany {
    pub sku: String,
    pub at_most: i64,
}

/// Plans one return and counts it in `sold`, all of it or nothing.
pub fn plan<'a>(sold: &mut [SoldLine], wanted: impl Iterator<Item = (&'a str, i64)>) -> Result<Vec<Restock>, TooMany> {
    let mut after = sold.to_vec();
    let mut plan: Vec<Restock> = Vec::new();
    for (sku, quantity) in wanted {
        let mut left = quantity;
        for line in after.iter_mut().filter(|line| line.sku == sku) {
            let part = left.min(line.sold - line.back).max(0);
            if part == 0 {
                continue;
            }
            line.back += part;
            left -= part;
            let planned = plan.iter_mut().find(|one| one.sku == sku && one.warehouse_id == line.warehouse_id);
            match planned {
                Some(planned) => planned.quantity += part,
                None => plan.push(Restock { sku: sku.to_owned(), warehouse_id: line.warehouse_id, quantity: part }),
            }
        }
        if left > 0 || quantity < 0 {
            return Err(TooMany { sku: sku.to_owned(), at_most: quantity - left });
        }
    }
    sold.clone_from_slice(&after);
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEAR: Uuid = Uuid::from_u128(1);
    const FAR: Uuid = Uuid::from_u128(2);

    fn line(sku: &str, warehouse_id: Uuid, sold: i64) -> SoldLine {
        SoldLine { sku: sku.to_owned(), warehouse_id, sold, back: 0 }
    }

    #[test]
    fn goods_go_back_where_they_came_from_and_no_more_than_were_sold() {
        let mut sold = vec![line("cup", NEAR, 3), line("cup", FAR, 1), line("pot", NEAR, 1)];
        let restock = |warehouse_id, quantity| Restock { sku: "cup".to_owned(), warehouse_id, quantity };
        assert_eq!(plan(&mut sold, [("cup", 1), ("cup", 1)].into_iter()), Ok(vec![restock(NEAR, 2)]));
        assert_eq!(plan(&mut sold, [("cup", 2)].into_iter()), Ok(vec![restock(NEAR, 1), restock(FAR, 1)]));
        let before = sold.clone();
        let too_many = |sku: &str, at_most| Err(TooMany { sku: sku.to_owned(), at_most });
        assert_eq!(plan(&mut sold, [("pot", 1), ("cup", 1)].into_iter()), too_many("cup", 0));
        assert_eq!(plan(&mut sold, [("jug", 1)].into_iter()), too_many("jug", 0));
        assert_eq!(sold, before, "all of it or nothing");
    }

    proptest! {
        #[test]
        fn however_many_returns_there_are_each_warehouse_has_at_most_what_it_sold(
            sold in prop::collection::vec(0_i64..9, 1..4),
            returns in prop::collection::vec(1_i64..5, 0..20),
        ) {
            let all: i64 = sold.iter().sum();
            let mut lines: Vec<SoldLine> =
                sold.iter().enumerate().map(|(at, sold)| line("cup", Uuid::from_u128(at as u128), *sold)).collect();
            let mut back = 0;
            for quantity in returns {
                match plan(&mut lines, [("cup", quantity)].into_iter()) {
                    Ok(plan) => {
                        prop_assert_eq!(plan.iter().map(|one| one.quantity).sum::<i64>(), quantity);
                        back += quantity;
                    }
                    Err(_) => prop_assert!(back + quantity > all),
                }
                prop_assert_eq!(lines.iter().map(|line| line.back).sum::<i64>(), back);
                prop_assert!(lines.iter().all(|line| line.back <= line.sold));
            }
        }
    }
}
