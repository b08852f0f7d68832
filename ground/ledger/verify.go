package ledger

import "context"

// Options says how Verify works.
type Options struct {
	Witness []Checkpoint           // heads that others have kept, from ParseCheckpoint
	Step    func(done, total int64) // told now and then how far it is; may be nil
}

// Report is what Verify found.
type Report struct {
	Head    Checkpoint `json:"head"`              // the newest head
	Facts   int64      `json:"facts"`             // how many were read and are as they were signed
	Waiting int64      `json:"waiting"`           // facts not numbered yet
	Witness int64      `json:"witness"`           // size of the largest witnessed head that fits, 0 without one
	Finding *Finding   `json:"finding,omitempty"` // the first thing that does not hold; nil if all holds
}

// Held tells whether everything holds.
func (r Report) Held() bool { return r.Finding == nil }

// Finding is the first bad row.
type Finding struct {
	Fact int64  `json:"fact"` // its number, or the first number it may be; 0 if it is about a head
	Text string `json:"text"` // "fact 31337: its text was changed"
}

// Verify reads the whole ledger again and names the first row that is not as it
// was signed.
func (l *Ledger) Verify(ctx context.Context, o Options) (Report, error) {
	panic("next commit")
}
