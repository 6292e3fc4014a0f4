//! What must be the case.

use super::*;

impl World {
    /// Some time after the last fault.
    pub(super) fn judge(&mut self) {
        self.context.note(|| "judged".into());
        if self.closed {
            assert!(self.shell.stopped, "closed, and not drained");
            return;
        }
        let last = self.callers.all.last().expect("the last caller");
        assert_eq!(last.told, Some(Told::Applied), "all is well again, but for the last request");
        assert_eq!(self.engine.breaker(), BreakerState::Closed);
        assert_eq!(self.engine.lanes_up(), self.plan.lanes, "lanes up");
        assert_eq!(self.engine.held().items, 0, "items in the queue");
        assert_eq!(self.shell.in_flight(), 0, "batches in flight");
    }

    /// When nothing more can happen: every zombie had its chance.
    pub(super) fn judge_the_end(&mut self) {
        self.checks.finally();
        for (id, caller) in self.callers.all.iter().enumerate() {
            let told = caller.told.unwrap_or_else(|| panic!("{id} has no answer"));
            let applied = self.database.has_applied(id);
            let sent = self.checks.courses[id].sends > 0;
            let admitted = caller.number.is_some();
            assert_eq!(admitted, caller.released, "{id}: the engine keeps or invents it");
            assert_eq!(admitted, !matches!(told, Told::Refused(_)));
            assert!(sent || !applied, "{id} is applied and was not sent");
            assert!(!(applied && told.never_applies()), "{id} is applied, and was told {told:?}");
            assert!(applied || told != Told::Applied, "{id} was told so, and is not applied");
            if told == Told::Undone(Undone::Unknown) {
                assert!(sent, "{id} was not sent, and was told it may have been applied");
                self.context.seen.note(match applied {
                    true => Sight::UnknownThatWasApplied,
                    false => Sight::UnknownThatWasNot,
                });
            }
        }
    }
}
