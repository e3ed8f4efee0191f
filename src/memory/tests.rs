//! Reservations of calls, of callers and of the process.

use std::task::Waker;

use super::*;

const MIB: usize = 1 << 20;

fn has_room(held: &mut Reservation) -> bool {
    held.poll_available(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_request_finds_room_or_is_refused() {
    let memory = MemoryBudget::new(10 * MIB);
    let (mut one, mut two) = (memory.reserve(), memory.reserve());
    assert_eq!(one.try_resize(6 * MIB), Ok(()));
    assert_eq!(two.try_resize(6 * MIB), Err(Full { cap: 10 * MIB, is_share: false }));
    assert_eq!(memory.reserved(), 6 * MIB);
    one.resize(4 * MIB);
    assert_eq!(two.try_resize(6 * MIB), Ok(()));
    drop((one, two));
    assert_eq!(memory.reserved(), 0);
}

#[test]
fn what_is_larger_than_the_cap_by_a_quarter_fits_alone() {
    let memory = MemoryBudget::new(4 * MIB);
    let mut alone = memory.reserve();
    assert_eq!(alone.try_resize(9 * MIB / 2), Ok(()));
    assert_eq!(alone.try_resize(5 * MIB), Ok(()));
    assert!(alone.try_resize(6 * MIB).is_err());
    assert!(memory.reserve().try_resize(MIB).is_err());
    // A small one is not counted.
    assert_eq!(memory.reserve().try_resize(1000), Ok(()));
}

#[test]
fn of_answers_over_the_cap_one_goes_on() {
    let memory = MemoryBudget::new(10 * MIB);
    let mut answers = [memory.reserve(), memory.reserve(), memory.reserve()];
    for answer in &mut answers {
        answer.resize(4 * MIB);
    }
    assert_eq!(answers.each_mut().map(has_room), [true, false, false]);
    // The one that went on has the right for as long as it holds anything.
    let [mut one, mut two, mut three] = answers;
    one.resize(8 * MIB);
    assert!(has_room(&mut one) && !has_room(&mut two));
    one.resize(0);
    assert!(has_room(&mut two) && has_room(&mut three));
}

#[test]
fn a_caller_reserves_no_more_than_its_share() {
    let memory = MemoryBudget::new(10 * MIB);
    let caller = Arc::default();
    let hold = || memory.reserve_share(&caller, 5 * MIB);
    let (mut one, mut two) = (hold(), hold());
    assert_eq!(one.try_resize(3 * MIB), Ok(()));
    assert_eq!(two.try_resize(3 * MIB), Err(Full { cap: 5 * MIB, is_share: true }));
    // The rest is there for others.
    let mut other = memory.reserve();
    assert_eq!(other.try_resize(6 * MIB), Ok(()));
    assert_eq!(two.try_resize(2 * MIB), Err(Full { cap: 10 * MIB, is_share: false }));
    // What is refused by one limit is reserved in none.
    drop(other);
    assert_eq!(two.try_resize(2 * MIB), Ok(()));
    drop((one, two));
    assert_eq!((memory.reserved(), caller.reserved()), (0, 0));
    // What is larger than the share fits if it is the caller's only one.
    assert_eq!(hold().try_resize(8 * MIB), Ok(()));
}

#[test]
fn answers_over_a_share_wait_for_those_of_the_same_caller_only() {
    let memory = MemoryBudget::new(100 * MIB);
    let caller = Arc::default();
    let mut answers =
        [memory.reserve_share(&caller, 5 * MIB), memory.reserve_share(&caller, 5 * MIB), memory.reserve()];
    for answer in &mut answers {
        answer.resize(4 * MIB);
    }
    assert_eq!(answers.each_mut().map(has_room), [true, false, true]);
    let [one, mut two, _other] = answers;
    drop(one);
    assert!(has_room(&mut two));
}

#[test]
fn a_call_with_the_right_to_go_over_the_limit_of_the_process_waits_for_no_share() {
    let memory = MemoryBudget::new(10 * MIB);
    let caller = Arc::default();
    let (mut first, mut second) = (memory.reserve_share(&caller, 6 * MIB), memory.reserve_share(&caller, 6 * MIB));
    let mut other = memory.reserve();
    other.resize(8 * MIB);
    first.resize(4 * MIB);
    assert!(has_room(&mut first));
    second.resize(4 * MIB);
    // It has the right of its caller, but not that of the process.
    assert!(!has_room(&mut second));
    assert!(has_room(&mut first));
    drop(first);
    assert!(has_room(&mut second));
}

#[test]
fn a_call_that_holds_next_to_nothing_never_waits() {
    let memory = MemoryBudget::new(MIB);
    let mut large = memory.reserve();
    large.resize(2 * MIB);
    let mut small = memory.reserve();
    small.resize(1000);
    assert!(has_room(&mut small));
}

#[tokio::test(start_paused = true)]
async fn much_memory_counts_until_the_allocator_has_returned_it() {
    let memory = MemoryBudget::new(64 * MIB);
    let mut held = memory.reserve();
    assert_eq!(held.try_resize(50 * MIB), Ok(()));
    // What was not used is free at once.
    assert_eq!(held.try_resize(45 * MIB), Ok(()));
    assert_eq!(memory.reserved(), 45 * MIB);
    held.resize(10 * MIB);
    assert_eq!(memory.reserved(), 45 * MIB);
    assert!(memory.reserve().try_resize(20 * MIB).is_err());
    sleep(RETURN_DELAY * 2).await;
    assert_eq!(memory.reserved(), 10 * MIB);
    assert_eq!(memory.reserve().try_resize(20 * MIB), Ok(()));
}

#[tokio::test]
async fn an_answer_that_waits_is_woken() {
    let memory = MemoryBudget::new(MIB);
    let (mut first, mut right, mut second) = (memory.reserve(), memory.reserve(), memory.reserve());
    right.resize(MIB);
    assert!(has_room(&mut right));
    first.resize(MIB);
    second.resize(MIB);
    let waiting = tokio::spawn(async move { std::future::poll_fn(|cx| second.poll_available(cx)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop((first, right));
    waiting.await.unwrap_or_default();
}
