//! The working set against a naive model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::db::Tx;

on_both![what_is_loaded_already_is_not_asked_for_again,];

#[derive(Clone, Debug)]
enum Step {
    Upsert(u8, u8),
    Delete(u8),
    Get(u8),
    Lookup(u8),
    /// Declared reads that are loaded without being looked at.
    Load(Vec<(bool, u8)>),
}

fn step() -> impl Strategy<Value = Step> {
    let (tag, content) = (0..8_u8, 0..4_u8);
    prop_oneof![
        3 => (tag.clone(), content.clone()).prop_map(|(tag, content)| Step::Upsert(tag, content)),
        2 => tag.clone().prop_map(Step::Delete),
        2 => tag.clone().prop_map(Step::Get),
        3 => content.prop_map(Step::Lookup),
        1 => prop::collection::vec((any::<bool>(), 0..4_u8), 0..5).prop_map(Step::Load),
    ]
}

fn row(tag: u8, content: u8) -> Row {
    let (tag, content) = (format!("t{tag}"), format!("c{content}"));
    Row(vec!["r".into(), tag.into(), "d".into(), content.into(), 0.into(), 0.into()])
}

fn key(tag: u8) -> Vec<Value> {
    tag_key(&format!("t{tag}"))
}

fn by(content: u8) -> Vec<Value> {
    vec!["r".into(), format!("c{content}").into()]
}

/// Asks as the appender does: again after loading what was missed.
async fn ask<T>(rows: &mut Rows, tx: &mut Tx, question: impl Fn(&Rows) -> T) -> T {
    loop {
        let answer = question(rows);
        let missed = rows.take_missed();
        if missed.is_empty() {
            return answer;
        }
        rows.load(tx, missed).await.unwrap();
    }
}

async fn follow(db: &Db, stored: BTreeMap<u8, u8>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut tx = db.write().await.unwrap(); // never committed: the next case starts clean
    let before: Vec<Row> = stored.iter().map(|(&tag, &content)| row(tag, content)).collect();
    tx.insert(&TAGS, &before).await.unwrap();
    let mut model = stored;
    let mut rows = Rows::default();
    for step in steps {
        match step {
            Step::Upsert(tag, content) => {
                model.insert(tag, content);
                rows.apply(Change::Upsert(&TAGS, row(tag, content)));
            }
            Step::Delete(tag) => {
                model.remove(&tag);
                rows.apply(Change::Delete(&TAGS, key(tag)));
            }
            Step::Get(tag) => {
                let found = ask(&mut rows, &mut tx, |rows| rows.get(&TAGS, &key(tag)).cloned()).await;
                prop_assert_eq!(found, model.get(&tag).map(|&content| row(tag, content)));
            }
            Step::Lookup(content) => {
                let question = |rows: &Rows| -> Vec<Row> {
                    rows.lookup(&TAGS, 0, &by(content)).into_iter().cloned().collect()
                };
                let found = ask(&mut rows, &mut tx, question).await;
                let expected: Vec<Row> =
                    model.iter().filter(|&(_, &c)| c == content).map(|(&tag, &c)| row(tag, c)).collect();
                prop_assert_eq!(found, expected);
            }
            Step::Load(reads) => {
                let read = |(is_row, n)| {
                    if is_row { Read::row(&TAGS, key(n)) } else { Read::lookup(&TAGS, 0, by(n)) }
                };
                rows.load(&mut tx, reads.into_iter().map(read).collect()).await.unwrap();
            }
        }
    }
    super::super::appender::write(rows, &mut tx).await.unwrap();
    let after = tx.page(&TAGS, None, 100).await.unwrap();
    let expected: Vec<Row> = model.iter().map(|(&tag, &content)| row(tag, content)).collect();
    prop_assert_eq!(after, expected);
    Ok(())
}

#[test]
fn the_working_set_answers_like_the_embedded_table_it_will_become() {
    the_working_set_answers_like_the_table(On::Sqlite, 300);
}

#[test]
fn the_working_set_answers_like_the_shared_table_it_will_become() {
    the_working_set_answers_like_the_table(On::Postgres, 50);
}

fn the_working_set_answers_like_the_table(on: On, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = runtime.block_on(Place::new(on));
    let db = runtime.block_on(place.open(Access::Create));
    let stored = prop::collection::btree_map(0..8_u8, 0..4_u8, 0..6);
    let steps = prop::collection::vec(step(), 0..25);
    proptest!(ProptestConfig::with_cases(cases), |(stored in stored, steps in steps)| {
        runtime.block_on(follow(&db, stored, steps))?;
    });
}

async fn what_is_loaded_already_is_not_asked_for_again(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(3).await;
    let mut tx = fixture.db.snapshot().await.unwrap();
    let mut rows = Rows::default();
    let reads = vec![Read::row(&TAGS, tag_key("t0")), Read::lookup(&TAGS, 0, index(&content(1)))];
    rows.load(&mut tx, reads.clone()).await.unwrap();
    let before = fixture.db.statements();
    rows.load(&mut tx, reads).await.unwrap();
    assert_eq!(fixture.db.statements(), before);
    assert!(rows.get(&TAGS, &tag_key("t1")).is_some(), "a lookup loads its rows");
    assert!(rows.take_missed().is_empty());
}
