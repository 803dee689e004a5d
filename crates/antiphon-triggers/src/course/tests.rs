use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

const MOST: u32 = 3;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_781_006_400 + 60 * minute).unwrap()
}

#[test]
fn failures_in_a_row_end_it_and_a_success_forgets_them() {
    let mut course = Course::new(Some(at(1)));
    for (status, failures) in [
        (ExecutionStatus::Failed, 1),
        (ExecutionStatus::Skipped, 1),
        (ExecutionStatus::TimedOut, 2),
        (ExecutionStatus::Completed, 0),
        (ExecutionStatus::Failed, 1),
        (ExecutionStatus::Failed, 2),
    ] {
        course.ended(status, MOST);
        assert_eq!((course.failures, course.status), (failures, TriggerStatus::Active));
    }
    course.ended(ExecutionStatus::TimedOut, MOST);
    assert_eq!((course.failures, course.status, course.next_run), (3, TriggerStatus::Error, None));
    course.resume(at(9), Some(at(10)));
    assert_eq!((course.failures, course.status, course.next_run), (0, TriggerStatus::Active, Some(at(10))));
    assert_eq!(course.last_resume, Some(at(9)));
}

#[test]
fn what_was_missed_comes_once() {
    let mut course = Course::new(Some(at(1)));
    assert_eq!(course.take_due(at(0), Some(at(1))), None);
    assert_eq!(course.take_due(at(100), Some(at(101))), Some(at(1)));
    assert_eq!(course.take_due(at(100), Some(at(101))), None);
}

#[test]
fn a_pause_ends_it_and_stays() {
    let mut course = Course::new(Some(at(1)));
    course.pause(at(0));
    let paused = course.clone();
    assert_eq!((course.status, course.next_run, course.last_pause), (TriggerStatus::Paused, None, Some(at(0))));
    // Said twice it is the same; and failures of runs that somebody asks for leave it paused.
    course.pause(at(5));
    assert_eq!(course, paused);
    (0..MOST).for_each(|_| course.ended(ExecutionStatus::Failed, MOST));
    assert_eq!((course.status, course.failures), (TriggerStatus::Paused, MOST));
    assert_eq!(course.take_due(at(9), Some(at(10))), None);
}

#[derive(Clone, Debug)]
enum Happens {
    Tick,
    Pause,
    Resume,
    Ends(ExecutionStatus),
}

fn happens() -> impl Strategy<Value = Happens> {
    let ends = proptest::sample::select(vec![
        ExecutionStatus::Completed,
        ExecutionStatus::Failed,
        ExecutionStatus::Skipped,
        ExecutionStatus::TimedOut,
    ]);
    prop_oneof![Just(Happens::Tick), Just(Happens::Pause), Just(Happens::Resume), ends.prop_map(Happens::Ends)]
}

proptest! {
    #[test]
    fn whatever_happens_a_course_makes_sense(events in proptest::collection::vec((happens(), 0_i64..5), 0..60)) {
        let mut course = Course::new(Some(at(1)));
        let mut minute = 0;
        for (event, later) in events {
            minute += later;
            let (now, next) = (at(minute), Some(at(minute + 1)));
            let before = course.clone();
            match event {
                Happens::Tick => {
                    if let Some(due) = course.take_due(now, next) {
                        prop_assert!(due <= now);
                        prop_assert_eq!(before.status, TriggerStatus::Active);
                    }
                    prop_assert!(course.next_run.is_none_or(|next| next > now));
                }
                Happens::Pause => course.pause(now),
                Happens::Resume => course.resume(now, next),
                Happens::Ends(status) => course.ended(status, MOST),
            }
            prop_assert_eq!(course.next_run.is_some(), course.status == TriggerStatus::Active);
            prop_assert!(course.status != TriggerStatus::Active || course.failures < MOST);
            prop_assert!(course.failures <= before.failures + 1);
            for time in [course.last_pause, course.last_resume].into_iter().flatten() {
                prop_assert!(time.duration_since(now) <= SignedDuration::ZERO);
            }
        }
    }
}
