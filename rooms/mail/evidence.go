package mail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"quietroom/ground/seal"
	"quietroom/layer"
	"quietroom/rooms/mail/smtp"
)

// How long what was seen counts, and how long one waits before a person is asked.
const (
	seenLasts = 48 * time.Hour // the server is greeted twice a day
	away      = time.Hour      // a server may be away for so long
	slow      = 4 * time.Hour  // a letter may wait for so long
)

// evidence says how mail goes out, and what waits.
func (m *Mail) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		s, err := m.server(ctx)
		if lost := errors.Is(err, seal.ErrSealed); lost || errors.Is(err, errNoServer) {
			if !yield(m.unset(lost), nil) {
				return
			}
		} else if !yield(m.sending(s), err) {
			return
		}
		if t, terr := m.tally(ctx); terr != nil || err == nil || t.Waiting > 0 {
			if !yield(m.queueEvidence(t), terr) {
				return
			}
		}
		if err == nil {
			yield(m.agreement(ctx, s))
		}
	}
}

// unset is said where nothing can be sent.
func (m *Mail) unset(lost bool) layer.Evidence {
	e := layer.Evidence{Claim: "mail.sending", Place: layer.Edges, State: layer.NeedsYou, Seen: m.Now(), Page: "/mail/server", Fix: "Set up mail", Minutes: 4,
		Text: "Mail is not set up. Nobody is told by mail when something about their account changes."}
	switch {
	case lost:
		e.Text = "The mail server’s password cannot be read: this server’s outbox.key is not the one it was sealed with."
		e.Why = "Type it again, or bring back the file."
	case m.MadeUp:
		e.State, e.Fix, e.Minutes, e.Text = layer.Off, "", 0, "This practice is made up, so no mail leaves it. A server can be set up to try it."
	}
	return e
}

// sending says how the server is.
func (m *Mail) sending(s standing) layer.Evidence {
	now := m.Now()
	e := layer.Evidence{Claim: "mail.sending", Place: layer.Edges, State: layer.Safe, Seen: s.Seen, Until: s.Seen.Add(seenLasts), Page: "/mail"}
	way := "encrypted, and only after its certificate was checked"
	if s.Security == smtp.Plain {
		way = "on this machine, which it does not leave unencrypted by us"
	}
	e.Text = fmt.Sprintf("Notices leave through %s, %s.", s.Host, way)
	e.Why = "How they travel on from there is your provider’s doing."
	if s.Failing.IsZero() {
		return e
	}
	e.Text, e.Why = told(s.Why)
	if fixable := s.Why != smtp.Unreachable && s.Why != smtp.Greeting && s.Why != smtp.Lost; fixable || now.Sub(s.Failing) > away {
		e.State, e.Seen, e.Fix, e.Minutes = layer.NeedsYou, now, "Look at the mail server", 5
		return e
	}
	e.State, e.Seen, e.Until = layer.Checking, now, now.Add(away)
	e.Why = "It is tried again by itself. Nothing is lost for five days."
	return e
}

// queueEvidence says what waits, and what did not arrive.
func (m *Mail) queueEvidence(t tally) layer.Evidence {
	now := m.Now()
	e := layer.Evidence{Claim: "mail.queue", Place: layer.Edges, State: layer.Safe, Seen: now, Until: now.Add(seenLasts), Page: "/mail",
		Text: fmt.Sprintf("No notice waits. %s left in the last 30 days.", notices(t.Sent))}
	switch {
	case t.Failed > 0:
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Read which", 2
		e.Text = notices(t.Failed) + " could not be delivered."
		e.Why = "Whoever should have read them does not know."
	case t.Homeless > 0 && now.Sub(t.Oldest) > slow:
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "See for whom", 2
		e.Text = notices(t.Homeless) + " cannot go out: no mail address is known."
	case t.Waiting > 0 && now.Sub(t.Oldest) > slow:
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "See what waits", 3
		e.Text = fmt.Sprintf("Waiting to be sent: %s, the oldest since %s.", notices(t.Waiting), t.Oldest.UTC().Format("January 2, 15:04 UTC"))
		e.Why = "After five days a notice is dropped."
	case t.Waiting > 0:
		e.Text = fmt.Sprintf("Waiting to be sent: %s. That happens by itself.", notices(t.Waiting))
	}
	return e
}

// agreement says what the owner said of the provider.
func (m *Mail) agreement(ctx context.Context, s standing) (layer.Evidence, error) {
	a, ok, err := m.agreed(ctx, s.Host)
	e := layer.Evidence{Claim: "mail.agreement", Place: layer.Edges, State: layer.YourWord, Seen: a.At, Page: "/mail/agreement"}
	switch {
	case err != nil || !ok:
		e.State, e.Seen = layer.Off, m.Now()
		e.Text = "Mail about patients is off: no agreement with your mail provider is written down. Notices to your own people go out."
	case a.Because != "":
		e.Text = fmt.Sprintf("%s needs no agreement for your mail, you said.", a.With)
	default:
		e.Text = fmt.Sprintf("There is an agreement about your mail with %s, of %s.", a.With, a.Date)
	}
	return e, err
}

func notices(n int) string {
	if n == 1 {
		return "1 notice"
	}
	return fmt.Sprintf("%d notices", n)
}
