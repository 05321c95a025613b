//! How much work a run is: that of its garbage, and not of what is stored.

use futures_util::future::join_all;

use super::*;

on_both![the_work_of_a_collection_is_that_of_its_garbage];

/// What the runs over so much garbage beside so much that is used come to.
struct Work {
    statements: u64,
    /// Heads and gets, lists, deletes.
    reads: u64,
    lists: u64,
    deletes: u64,
}

async fn work(on: On, used: usize, garbage: usize) -> Work {
    let shop = Shop::hasty(on).await;
    let store = shop.registry.keyed_store(&name("a"), Actor::anonymous());
    let put = async |n: usize| {
        let (key, bytes) = (format!("key-{n}").parse().unwrap(), Bytes::from(format!("used {n}")));
        store.put(&key, NewObject::default(), whole(&bytes)).await.unwrap();
    };
    join_all((0..used).map(put)).await;
    let push = async |n: usize| drop(shop.push("a", &format!("garbage {n}")).await);
    join_all((0..garbage).map(push)).await;
    let calls = || {
        let of = |op| shop.faults.calls(op);
        (shop.db.statements(), of(Op::Head) + of(Op::Get), of(Op::List), of(Op::Delete))
    };
    let before = calls();
    // Given up, condemned, deleted; and a run that finds nothing.
    for _ in 0..4 {
        shop.after(1).await;
    }
    let after = calls();
    assert_eq!(shop.objects().await.len(), used);
    Work {
        statements: after.0 - before.0,
        reads: after.1 - before.1,
        lists: after.2 - before.2,
        deletes: after.3 - before.3,
    }
}

async fn the_work_of_a_collection_is_that_of_its_garbage(on: On) {
    let few = Box::pin(work(on, 0, 250)).await;
    let many = Box::pin(work(on, 0, 750)).await;
    let beside = Box::pin(work(on, 1000, 250)).await;
    for (work, garbage) in [(&few, 250), (&many, 750), (&beside, 250)] {
        assert_eq!((work.reads, work.deletes), (0, garbage), "nothing is read, and each is deleted once");
        println!("{garbage} blobs of garbage: {} statements, {} lists", work.statements, work.lists);
    }
    // For each batch the same, and something for each run.
    assert!(many.statements <= 3 * few.statements, "{} and {}", few.statements, many.statements);
    assert!(many.statements < 750, "{} statements for 750 blobs", many.statements);
    let more = many.statements - few.statements;
    assert!(more < 500, "{more} statements for 500 blobs more");
    // What is used costs a look at its name in the storage, a page at a time, and nothing else.
    assert!(beside.lists <= few.lists + 4 * 2, "{} and {} lists", few.lists, beside.lists);
    let pages = beside.lists - few.lists;
    assert!(beside.statements <= few.statements + 3 * pages, "{} and {}", few.statements, beside.statements);
}
