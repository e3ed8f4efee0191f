//! Reservations of calls, of callers and of the process.

use std::task::Waker;

use super::*;

const MIB: usize = 1 << 20;

fn has_room(held: &mut Held) -> bool {
    held.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_request_finds_room_or_is_refused() {
    let memory = Memory::new(10 * MIB);
    let (mut one, mut two) = (memory.hold(), memory.hold());
    assert_eq!(one.try_set(6 * MIB), Ok(()));
    assert_eq!(two.try_set(6 * MIB), Err(Full { cap: 10 * MIB, is_share: false }));
    assert_eq!(memory.used(), 6 * MIB);
    one.set(4 * MIB);
    assert_eq!(two.try_set(6 * MIB), Ok(()));
    drop((one, two));
    assert_eq!(memory.used(), 0);
}

#[test]
fn what_is_larger_than_the_cap_by_a_quarter_fits_alone() {
    let memory = Memory::new(4 * MIB);
    let mut alone = memory.hold();
    assert_eq!(alone.try_set(9 * MIB / 2), Ok(()));
    assert_eq!(alone.try_set(5 * MIB), Ok(()));
    assert!(alone.try_set(6 * MIB).is_err());
    assert!(memory.hold().try_set(MIB).is_err());
    // A small one is not counted.
    assert_eq!(memory.hold().try_set(1000), Ok(()));
}

#[test]
fn of_answers_over_the_cap_one_goes_on() {
    let memory = Memory::new(10 * MIB);
    let mut answers = [memory.hold(), memory.hold(), memory.hold()];
    for answer in &mut answers {
        answer.set(4 * MIB);
    }
    assert_eq!(answers.each_mut().map(has_room), [true, false, false]);
    // The one that went on has the right for as long as it holds anything.
    let [mut one, mut two, mut three] = answers;
    one.set(8 * MIB);
    assert!(has_room(&mut one) && !has_room(&mut two));
    one.set(0);
    assert!(has_room(&mut two) && has_room(&mut three));
}

#[test]
fn a_caller_reserves_no_more_than_its_share() {
    let memory = Memory::new(10 * MIB);
    let caller = Arc::default();
    let hold = || memory.hold_share(&caller, 5 * MIB);
    let (mut one, mut two) = (hold(), hold());
    assert_eq!(one.try_set(3 * MIB), Ok(()));
    assert_eq!(two.try_set(3 * MIB), Err(Full { cap: 5 * MIB, is_share: true }));
    // The rest is there for others.
    let mut other = memory.hold();
    assert_eq!(other.try_set(6 * MIB), Ok(()));
    assert_eq!(two.try_set(2 * MIB), Err(Full { cap: 10 * MIB, is_share: false }));
    // What is refused by one limit is reserved in none.
    drop(other);
    assert_eq!(two.try_set(2 * MIB), Ok(()));
    drop((one, two));
    assert_eq!((memory.used(), caller.used()), (0, 0));
    // What is larger than the share fits if it is the caller's only one.
    assert_eq!(hold().try_set(8 * MIB), Ok(()));
}

#[test]
fn answers_over_a_share_wait_for_those_of_the_same_caller_only() {
    let memory = Memory::new(100 * MIB);
    let caller = Arc::default();
    let mut answers = [memory.hold_share(&caller, 5 * MIB), memory.hold_share(&caller, 5 * MIB), memory.hold()];
    for answer in &mut answers {
        answer.set(4 * MIB);
    }
    assert_eq!(answers.each_mut().map(has_room), [true, false, true]);
    let [one, mut two, _other] = answers;
    drop(one);
    assert!(has_room(&mut two));
}

#[test]
fn a_call_with_the_right_to_go_over_the_limit_of_the_process_waits_for_no_share() {
    let memory = Memory::new(10 * MIB);
    let caller = Arc::default();
    let (mut first, mut second) = (memory.hold_share(&caller, 6 * MIB), memory.hold_share(&caller, 6 * MIB));
    let mut other = memory.hold();
    other.set(8 * MIB);
    first.set(4 * MIB);
    assert!(has_room(&mut first));
    second.set(4 * MIB);
    // It has the right of its caller, but not that of the process.
    assert!(!has_room(&mut second));
    assert!(has_room(&mut first));
    drop(first);
    assert!(has_room(&mut second));
}

#[test]
fn a_call_that_holds_next_to_nothing_never_waits() {
    let memory = Memory::new(MIB);
    let mut large = memory.hold();
    large.set(2 * MIB);
    let mut small = memory.hold();
    small.set(1000);
    assert!(has_room(&mut small));
}

#[tokio::test(start_paused = true)]
async fn much_memory_counts_until_the_allocator_has_returned_it() {
    let memory = Memory::new(64 * MIB);
    let mut held = memory.hold();
    assert_eq!(held.try_set(50 * MIB), Ok(()));
    // What was not used is free at once.
    assert_eq!(held.try_set(45 * MIB), Ok(()));
    assert_eq!(memory.used(), 45 * MIB);
    held.set(10 * MIB);
    assert_eq!(memory.used(), 45 * MIB);
    assert!(memory.hold().try_set(20 * MIB).is_err());
    sleep(RETURN_DELAY * 2).await;
    assert_eq!(memory.used(), 10 * MIB);
    assert_eq!(memory.hold().try_set(20 * MIB), Ok(()));
}

#[tokio::test]
async fn an_answer_that_waits_is_woken() {
    let memory = Memory::new(MIB);
    let (mut first, mut right, mut second) = (memory.hold(), memory.hold(), memory.hold());
    right.set(MIB);
    assert!(has_room(&mut right));
    first.set(MIB);
    second.set(MIB);
    let waiting = tokio::spawn(async move { std::future::poll_fn(|cx| second.poll_room(cx)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop((first, right));
    waiting.await.unwrap_or_default();
}
