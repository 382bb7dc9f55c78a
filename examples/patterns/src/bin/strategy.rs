//! Strategy: how a discount is worked out can be exchanged; who makes out the bill does not change.
//!
//! The usual defects: a `match` on the kind of customer in five places, of which one forgets the new
//! kind; and money in floats, so that what is paid and what is given away do not add up to the price.
//! Here the choice is made once, and amounts are whole cents, checked.

/// In cents; a float cannot hold ten of them.
type Cents = i64;

/// How much is given away. Pure: no clock, no store.
trait Discount {
    /// At least 0, at most the price of all pieces.
    fn of(&self, unit_price: Cents, quantity: i64) -> Option<Cents>;
}

struct NoDiscount;

/// So many hundredths off, in favour of the shop: rounded down to whole cents.
struct PercentOff(i64);

/// Every third piece costs nothing.
struct ThreeForTwo;

#[derive(Clone, Copy, Debug)]
enum Customer {
    Guest,
    Member,
    Wholesale,
}

#[derive(Debug, PartialEq)]
struct Bill {
    price: Cents,
    discount: Cents,
    to_pay: Cents,
}

fn main() {
    let customers = [Customer::Guest, Customer::Member, Customer::Wholesale];
    for customer in customers {
        let bill = bill(&*discount_for(customer), 333, 7);
        println!("{customer:?}, seven at 3.33: {bill:?}");
    }
    let member = bill(&PercentOff(15), 333, 7);
    let expected = Bill {
        price: 2331,
        discount: 349,
        to_pay: 1982,
    };
    assert_eq!(member, Some(expected));
    assert_eq!(
        bill(&ThreeForTwo, i64::MAX, 2),
        None,
        "too large is said, not wrapped"
    );

    for customer in customers {
        let discount = discount_for(customer);
        for unit_price in 0..2_000 {
            let bill = bill(&*discount, unit_price, 7).expect("small amounts fit");
            assert_eq!(bill.to_pay + bill.discount, bill.price);
            assert!((0..=bill.price).contains(&bill.to_pay), "{bill:?}");
        }
    }
    println!("2000 prices add up to the cent for each of them");
}

/// Chosen in one place; a new kind of customer does not compile until it is here.
fn discount_for(customer: Customer) -> Box<dyn Discount> {
    match customer {
        Customer::Guest => Box::new(NoDiscount),
        Customer::Member => Box::new(PercentOff(15)),
        Customer::Wholesale => Box::new(ThreeForTwo),
    }
}

/// Knows no kind of customer; `None` when an amount is too large.
fn bill(discount: &dyn Discount, unit_price: Cents, quantity: i64) -> Option<Bill> {
    let price = unit_price.checked_mul(quantity)?;
    let discount = discount.of(unit_price, quantity)?;
    let to_pay = price.checked_sub(discount)?;
    Some(Bill {
        price,
        discount,
        to_pay,
    })
}

impl Discount for NoDiscount {
    fn of(&self, _unit_price: Cents, _quantity: i64) -> Option<Cents> {
        Some(0)
    }
}

impl Discount for PercentOff {
    fn of(&self, unit_price: Cents, quantity: i64) -> Option<Cents> {
        let price = unit_price.checked_mul(quantity)?;
        Some(price.checked_mul(self.0)? / 100)
    }
}

impl Discount for ThreeForTwo {
    fn of(&self, unit_price: Cents, quantity: i64) -> Option<Cents> {
        unit_price.checked_mul(quantity / 3)
    }
}
