package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"quietroom/rooms/devices/wire"
)

// Refused is an answer of the house that says no, in its words.
type Refused struct{ wire.Refusal }

func (r *Refused) Error() string { return strings.TrimSpace(r.Text + " " + r.Fix) }

// mostAnswer is more than any answer of a house.
const mostAnswer = 1 << 20

// post sends one message to the house and reads its answer.
func post(ctx context.Context, c *http.Client, origin, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("the practice’s server cannot be reached: %w", bare(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return fmt.Errorf("the practice’s server broke off: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		no := &Refused{}
		if json.Unmarshal(text, &no.Refusal) != nil || no.Text == "" {
			no.Text = "The practice’s server gave no answer that this agent understands."
		}
		no.Status = resp.StatusCode
		return no
	}
	if err := json.Unmarshal(text, out); err != nil {
		return errors.New("the practice’s server gave no answer that this agent understands")
	}
	return nil
}

// bare takes the address out of an error: it may hold a code.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// checkOrigin refuses an address over which others could listen.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return errors.New("this is no address of a practice")
	}
	if u.Scheme == "https" {
		return nil
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return errors.New("the practice’s address must begin with https://")
}

// Join is one enrolment.
type Join struct {
	Config
	Link string // as the page shows it: origin + "/agent#" + code
	Name string // as the person calls the computer; the host's name if empty
	Port int    // where browsers of this computer find the agent
}

// Enroll introduces this computer to a practice with a one-time code, and keeps
// what it needs to go on. An older enrolment in the folder is replaced only when
// the new one has succeeded.
func Enroll(ctx context.Context, j Join) (name, practice string, err error) {
	j.fill()
	origin, code, ok := strings.Cut(j.Link, wire.JoinPath+"#")
	code = strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
	if !ok || checkOrigin(origin) != nil || len(code) != 26 {
		return "", "", errors.New("this is no link of a practice: it looks like https://vault.example.org/agent#ABCD-…, and is made on the page “Devices”")
	}
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return "", "", fmt.Errorf("make the agent's folder: %w", err)
	}
	fresh, err := os.MkdirTemp(j.Dir, "joining-")
	if err != nil {
		return "", "", fmt.Errorf("make the agent's folder: %w", err)
	}
	defer os.RemoveAll(fresh)
	key, err := j.Keys.Make(fresh)
	if err != nil {
		return "", "", err
	}
	if j.Name == "" {
		j.Name, _ = os.Hostname()
	}
	m, err := wire.Sign(key, wire.LabelEnrol, wire.Enrol{Format: wire.Format, Code: code, Name: wire.Name(j.Name), Agent: wire.Name(j.Agent), Key: key.Public(),
		Hardware: key.Hardware(), Admin: j.Admin, System: j.System})
	if err != nil {
		return "", "", err
	}
	var in wire.Enrolled
	if err := post(ctx, j.Client, origin, wire.EnrolPath, m, &in); err != nil {
		return "", "", err
	}
	s := &state{dir: fresh, memory: memory{Format: 1, Origin: origin, Practice: wire.Name(in.Practice), Name: wire.Name(in.Name), Device: in.Device, Ledger: in.Ledger, Joined: j.Now(),
		Link: in.Answer.Link, Nonce: in.Answer.Nonce, Agent: j.Agent}}
	w := witness(s.memory, in.Answer, j.Now())
	if w.alarm != "" {
		return "", "", errors.New("the practice’s server does not show a ledger that can be checked; nothing was kept")
	}
	s.Head, s.Backup, s.Saw = w.head, w.backup, j.Now()
	if err := s.save(); err != nil {
		return "", "", err
	}
	return s.Name, s.Practice, moveInto(fresh, j.Dir)
}

// moveInto puts the files of a finished enrolment in their place; the state comes
// last, because it is what makes the folder an agent's.
func moveInto(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b os.DirEntry) int {
		return boolInt(a.Name() == stateFile) - boolInt(b.Name() == stateFile)
	})
	for _, f := range files {
		if err := os.Rename(from+string(os.PathSeparator)+f.Name(), to+string(os.PathSeparator)+f.Name()); err != nil {
			return fmt.Errorf("keep the enrolment: %w", err)
		}
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Report tells the house how the computer is. With ticket it asks for a link that
// connects a browser of this computer.
func (a *Agent) Report(ctx context.Context, ticket bool) (wire.Answer, error) {
	a.talking.Lock()
	defer a.talking.Unlock()
	answer, err := a.report(ctx, ticket)
	if no, ok := errors.AsType[*Refused](err); ok && no.Status == http.StatusConflict { // the nonce was too old
		if err = a.hello(ctx); err == nil {
			answer, err = a.report(ctx, ticket)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Now()
	if err != nil {
		a.trouble = err.Error()
		a.due = now.Add(30 * time.Second)
		return answer, err
	}
	a.trouble, a.reached = "", now
	a.due = now.Add(time.Duration(min(max(answer.Next, 2), 3600)) * time.Second)
	a.said = answer
	return answer, nil
}

func (a *Agent) hello(ctx context.Context) error {
	var answer wire.Answer
	if err := post(ctx, a.Client, a.state.Origin, wire.HelloPath, wire.Hello{Device: a.state.Device}, &answer); err != nil {
		return err
	}
	return a.state.change(func(s *memory) { s.Nonce = answer.Nonce })
}

func (a *Agent) report(ctx context.Context, ticket bool) (answer wire.Answer, err error) {
	// The count is kept before it is used, so that it is never used twice.
	if err := a.state.change(func(s *memory) { s.Count++ }); err != nil {
		return answer, err
	}
	s := a.state.snapshot()
	r := wire.Report{Format: wire.Format, Device: s.Device, Agent: wire.Name(a.Agent), Count: s.Count, Nonce: s.Nonce, Link: s.Link, Clock: a.Now().UnixMilli(),
		System: a.System, Hardware: a.key.Hardware(), Admin: a.Admin, Port: a.port, Ticket: ticket, Checks: a.Results(), Witness: wire.Witness{Size: sizeOf(s), Alarm: s.Alarm}}
	sent := s.Events[:min(len(s.Events), wire.MostEvents)]
	size := 0
	for i, e := range sent {
		if size += len(e.Body); size > wire.MostBytes/2 {
			sent = sent[:i]
			break
		}
		e.Age = max(int64(a.Now().Sub(e.At)/time.Second), 0)
		r.Events = append(r.Events, e.Event)
	}
	m, err := wire.Sign(a.key, wire.LabelReport, r)
	if err != nil {
		return answer, err
	}
	if err := post(ctx, a.Client, s.Origin, wire.ReportPath, m, &answer); err != nil {
		return answer, err
	}
	return answer, a.took(ctx, s, answer, len(sent))
}

// took keeps what an answer brings, once the house behind it is the same.
func (a *Agent) took(ctx context.Context, s memory, answer wire.Answer, sent int) error {
	w := witness(s, answer, a.Now())
	err := a.state.change(func(now *memory) {
		now.Nonce = answer.Nonce
		if answer.Link != "" {
			now.Link = answer.Link
		}
		if w.head != "" {
			now.Head, now.Saw, now.Backup = w.head, a.Now(), w.backup
		}
		now.Events = now.Events[min(sent, len(now.Events)):]
		if w.alarm != now.Alarm {
			now.Alarm, now.Since = w.alarm, a.Now()
		}
	})
	if err != nil {
		return err
	}
	if w.alarm != "" && w.alarm != s.Alarm {
		title, text := AlarmWords(w.alarm)
		a.Alarm(ctx, title, text)
		a.Wake() // the house is told too
	}
	for _, o := range answer.Orders {
		room, _, _ := strings.Cut(o.Kind, ".")
		if to, ok := a.orders[room]; ok {
			select {
			case to <- o:
			default: // it is busy; the house asks again
			}
		}
	}
	if answer.Look {
		a.Wake()
	}
	return nil
}
