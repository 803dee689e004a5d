//! Whose turn it is: slots, priorities and a bounded queue per model.
//!
//! Interactive work comes before background work of the same tier, and one slot is kept
//! free of background work, so that a person never waits for a batch to end.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_wire::ServiceTier;
use tokio::sync::oneshot;

/// The slots of one model and who waits for them.
#[derive(Debug)]
pub(crate) struct Admission {
    slots: usize,
    most_waiting: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    running_background: usize,
    arrivals: u64,
    waiting: BTreeMap<Place, oneshot::Sender<()>>,
}

/// The order of the queue: higher tiers first, interactive before background, then who
/// came first.
type Place = (Reverse<ServiceTier>, bool, u64);

/// A place in the queue, or a slot at once. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    background: bool,
    state: TicketState,
}

#[derive(Debug)]
enum TicketState {
    Waiting { place: Place, granted: oneshot::Receiver<()> },
    Admitted,
    Left,
}

/// A slot. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    background: bool,
}

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) waiting: usize,
}

impl Admission {
    pub(crate) fn new(slots: usize, most_waiting: usize) -> Arc<Self> {
        Arc::new(Self { slots: slots.max(1), most_waiting, state: Mutex::default() })
    }

    /// Takes a slot or a place in the queue.
    pub(crate) fn reserve(self: &Arc<Self>, tier: ServiceTier, background: bool) -> Result<Ticket, Full> {
        self.take_place(tier, background, self.most_waiting)
    }

    /// Takes a place however long the queue is: for runs accepted in an earlier life.
    pub(crate) fn rejoin(self: &Arc<Self>, tier: ServiceTier, background: bool) -> Ticket {
        self.take_place(tier, background, usize::MAX)
            .unwrap_or_else(|_| unreachable!("a queue without a limit is never full"))
    }

    fn take_place(self: &Arc<Self>, tier: ServiceTier, background: bool, most: usize) -> Result<Ticket, Full> {
        let mut state = self.lock();
        let ticket = |state| Ticket { admission: Arc::clone(self), background, state };
        if self.has_slot(&state, background) {
            state.enter(background);
            return Ok(ticket(TicketState::Admitted));
        }
        if state.waiting.len() >= most {
            return Err(Full { waiting: state.waiting.len() });
        }
        let (sender, granted) = oneshot::channel();
        state.arrivals += 1;
        let place = (Reverse(tier), background, state.arrivals);
        state.waiting.insert(place, sender);
        Ok(ticket(TicketState::Waiting { place, granted }))
    }

    fn has_slot(&self, state: &State, background: bool) -> bool {
        let most_background = self.slots.saturating_sub(1).max(1);
        state.running < self.slots && (!background || state.running_background < most_background)
    }

    fn release(&self, background: bool) {
        let mut state = self.lock();
        state.running -= 1;
        state.running_background -= usize::from(background);
        loop {
            let next = state.waiting.keys().find(|(_, background, _)| self.has_slot(&state, *background)).copied();
            let Some(place) = next else { return };
            let Some(granted) = state.waiting.remove(&place) else { return };
            if granted.send(()).is_ok() {
                state.enter(place.1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, background: bool) {
        self.running += 1;
        self.running_background += usize::from(background);
    }
}

impl Ticket {
    /// Whether there was a slot at once.
    pub(crate) fn is_admitted(&self) -> bool {
        matches!(self.state, TicketState::Admitted)
    }

    /// Waits for the slot.
    pub(crate) async fn admitted(mut self) -> Permit {
        if let TicketState::Waiting { granted, .. } = &mut self.state {
            // The sender lives in the queue until it is used, so an error cannot come.
            let _ = granted.await;
        }
        self.state = TicketState::Left;
        Permit { admission: Arc::clone(&self.admission), background: self.background }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match &mut self.state {
            TicketState::Left => {}
            TicketState::Admitted => self.admission.release(self.background),
            TicketState::Waiting { place, granted } => {
                let was_waiting = self.admission.lock().waiting.remove(place).is_some();
                if !was_waiting && granted.try_recv().is_ok() {
                    self.admission.release(self.background);
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.release(self.background);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn permit(ticket: Ticket) -> Option<Permit> {
        match pin!(ticket.admitted()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_slot_is_kept_free_of_background_work() {
        let admission = Admission::new(2, 64);
        let first = permit(admission.reserve(ServiceTier::Standard, true).unwrap()).unwrap();
        let second = admission.reserve(ServiceTier::Standard, true).unwrap();
        let person = permit(admission.reserve(ServiceTier::Standard, false).unwrap());
        assert!(person.is_some(), "the free slot is for interactive work");
        drop(person);
        assert_eq!(admission.lock().waiting.len(), 1);
        drop(first);
        assert!(permit(second).is_some());
    }

    #[test]
    fn tiers_go_first_then_interactive_then_who_came_first() {
        let admission = Admission::new(1, 64);
        let busy = permit(admission.reserve(ServiceTier::Standard, false).unwrap()).unwrap();
        let mut waiting: Vec<_> = [
            (ServiceTier::Flex, false, 4),
            (ServiceTier::Standard, true, 3),
            (ServiceTier::Standard, false, 1),
            (ServiceTier::Standard, false, 2),
            (ServiceTier::Priority, true, 0),
        ]
        .map(|(tier, background, order)| (order, admission.reserve(tier, background).unwrap()))
        .into();
        waiting.sort_by_key(|(order, _)| *order);
        drop(busy);
        for (order, ticket) in waiting {
            assert!(permit(ticket).is_some(), "place {order}");
        }
    }

    #[test]
    fn a_full_queue_refuses_and_a_left_place_is_free_again() {
        let admission = Admission::new(1, 1);
        let busy = permit(admission.reserve(ServiceTier::Standard, false).unwrap()).unwrap();
        let waiting = admission.reserve(ServiceTier::Standard, false).unwrap();
        assert_eq!(admission.reserve(ServiceTier::Priority, false).unwrap_err(), Full { waiting: 1 });
        drop(waiting);
        let waiting = admission.reserve(ServiceTier::Standard, false).unwrap();
        drop(busy);
        drop(waiting);
        assert!(permit(admission.reserve(ServiceTier::Standard, false).unwrap()).is_some(), "no slot leaks");
    }
}
