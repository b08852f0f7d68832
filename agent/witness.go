package agent

import (
	"time"

	"quietroom/ground/ledger"
	"quietroom/rooms/devices/wire"
)

// backupFor is how long the agent waits for a backup that was opened again: a
// backup is tried daily, and may miss a weekend.
const backupFor = 4 * 24 * time.Hour

// seen is what an answer shows of the house.
type seen struct {
	head   string
	backup time.Time
	alarm  string // wire.AlarmRollback..., or ""
}

// witness compares the head that an answer carries with the one that was kept:
// signed by the pinned key, and a continuation of it. What does not fit is an
// alarm, and is never kept. It needs no network and no clock but now.
func witness(s memory, a wire.Answer, now time.Time) seen {
	key, err := ledger.ParseKey(s.Ledger)
	if err != nil {
		return seen{alarm: wire.AlarmReplaced}
	}
	head, err := ledger.ParseCheckpoint([]byte(a.Head), key)
	if err != nil { // another server, or one whose ledger has another key
		return seen{alarm: wire.AlarmReplaced}
	}
	if s.Head != "" {
		old, err := ledger.ParseCheckpoint([]byte(s.Head), key)
		if err != nil {
			return seen{alarm: wire.AlarmReplaced}
		}
		if head.Size < old.Size || a.Proof.Check(old, head) != nil {
			return seen{alarm: wire.AlarmRollback}
		}
	}
	w := seen{head: a.Head, backup: s.Backup}
	if a.Backup != nil {
		if e, err := a.Backup.Check(head); err == nil && e.Kind == "backup.proven" && e.At.After(w.backup) {
			w.backup = e.At
		}
	}
	since := w.backup
	if since.IsZero() {
		since = s.Joined
	}
	if now.Sub(since) > backupFor {
		w.alarm = wire.AlarmBackup
	}
	return w
}

// sizeOf is how many facts the kept head covers.
func sizeOf(s memory) int64 {
	key, err := ledger.ParseKey(s.Ledger)
	if err != nil {
		return 0
	}
	head, err := ledger.ParseCheckpoint([]byte(s.Head), key)
	if err != nil {
		return 0
	}
	return head.Size
}

// AlarmWords is what the person at the computer reads of an alarm.
func AlarmWords(alarm string) (title, text string) {
	switch alarm {
	case wire.AlarmRollback:
		return "The practice’s record of events went backwards", "What this computer saw of it before is not in it any more. The server may have been put back to an older day, or changed. Tell the owner now: the ledger’s six words on the letter show the same."
	case wire.AlarmReplaced:
		return "Another server answers under the practice’s name", "It does not sign with the key that this computer knows. Ask the owner before you go on. If it is right, this computer is enrolled anew with a new link."
	case wire.AlarmBackup:
		return "No backup was opened for more than four days", "This computer has seen no proof of a backup that was opened again. Tell whoever looks after the server."
	}
	return "", ""
}
