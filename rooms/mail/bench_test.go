package mail_test

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"

	"quietroom/ground/store"
	"quietroom/rooms/mail"
	"quietroom/rooms/mail/smtp"
)

// BenchmarkDeliver hands 2,000 queued notices over, and writes down each: to a
// server that only listens, and to a Postfix that writes each message to disk.
func BenchmarkDeliver(b *testing.B) {
	const letters = 2000
	run := func(b *testing.B, set func(h *house)) {
		for b.Loop() {
			b.StopTimer()
			h := newHouse(b)
			set(h)
			h.people[h.jo] = h.people[h.jo][:1]
			err := h.db.Update(b.Context(), func(tx *store.Tx) error {
				for range letters {
					n := notice
					n.To = h.jo
					if err := h.Notify(b.Context(), tx, n); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			h.deliver()
			b.StopTimer()
			if got := h.states()["sent"]; got != letters {
				b.Fatalf("%d sent, want %d", got, letters)
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(letters*b.N)/b.Elapsed().Seconds(), "messages/s")
	}
	b.Run("sink", func(b *testing.B) {
		needs(b, sink)
		port := freePort(b)
		server := exec.Command(sink, "-u", "nobody", fmt.Sprint("127.0.0.1:", port), "100")
		server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := server.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { server.Process.Kill(); server.Wait() })
		(&postfix{t: b}).answers("sink", port)
		run(b, func(h *house) {
			h.uses(mail.Settings{Host: "127.0.0.1", Port: port, Security: smtp.Plain, Sender: "notices@practice.example"})
		})
	})
	b.Run("postfix", func(b *testing.B) {
		p := newPostfix(b)
		run(b, func(h *house) { h.sends(p, "starttls", smtp.StartTLS) })
	})
}
