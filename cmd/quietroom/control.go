package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"quietroom/ground/store"
)

// A served house keeps run/control.sock in its directory, readable by its own
// user only. Commands that need the house go through it; where nobody serves,
// they take the directory's lock and do it themselves. So there is never a
// second writer, and nobody has to stop the server to import.

// order is one command sent to a served house.
type order struct {
	Command  string   `json:"command"`
	Args     []string `json:"args"`
	Input    []byte   `json:"input,omitempty"` // standard input, where the command reads a code from it
	Terminal bool     `json:"terminal"`
}

// piece is one part of the answer.
type piece struct {
	Out  []byte `json:"out,omitempty"`
	Err  []byte `json:"err,omitempty"`
	Exit *int   `json:"exit,omitempty"` // the last piece
}

// houseWork is what a command does with an open house.
type houseWork func(ctx context.Context, h *house, c *call) error

// inHouse are the commands that a served house does for others, by name.
func inHouse() map[string]houseWork {
	return map[string]houseWork{
		"import": importInHouse,
		"export": exportInHouse,
		"verify": verifyInHouse,
		"report": reportInHouse,
		"backup": backupInHouse,
		"proof":  proofInHouse,
	}
}

// withHouse does a command's work: through the control socket if the house is
// served, else in this process.
func (c *call) withHouse(ctx context.Context, dir, command string, args []string) error {
	if conn, err := net.Dial("unix", controlPath(dir)); err == nil {
		return c.send(ctx, conn, order{Command: command, Args: args, Terminal: c.terminal})
	}
	h, err := openHouse(ctx, dir, slog.New(slog.DiscardHandler))
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("another process works in %s and does not answer; try again when it is done", dir)
	}
	if err != nil {
		return err
	}
	return errors.Join(inHouse()[command](ctx, h, &call{args: args, in: c.in, out: c.out, err: c.err, terminal: c.terminal, flags: newFlags(command)}), h.close())
}

func controlPath(dir string) string { return filepath.Join(dir, "run", "control.sock") }

// send has a served house do a command, and passes on what it prints.
func (c *call) send(ctx context.Context, conn net.Conn, o order) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if readsCode(o.Args) {
		line, err := readLine(c.in)
		if err != nil {
			return err
		}
		defer clear(line)
		o.Input = line
	}
	if err := json.NewEncoder(conn).Encode(o); err != nil {
		return fmt.Errorf("the served house does not answer: %w", err)
	}
	d := json.NewDecoder(conn)
	for {
		var p piece
		if err := d.Decode(&p); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("the served house stopped answering: %w", err)
		}
		c.out.Write(p.Out)
		c.err.Write(p.Err)
		if p.Exit != nil {
			if *p.Exit == exitHeld {
				return nil
			}
			return exit{*p.Exit, nil}
		}
	}
}

// readsCode tells whether the arguments ask for a code on standard input.
func readsCode(args []string) bool {
	for i, a := range args {
		if a == "--unlock=-" || a == "-unlock=-" || a == "-" && i > 0 && (args[i-1] == "--unlock" || args[i-1] == "-unlock") {
			return true
		}
	}
	return false
}

// longestSocket is how long the path of a socket may be: sun_path of the systems
// we run on, less its last zero.
const longestSocket = 103

// listenForOrders opens run/control.sock.
func (h *house) listenForOrders() (net.Listener, error) {
	path := controlPath(h.dir)
	if len(path) > longestSocket {
		return nil, fmt.Errorf("the path %s is too long for the socket in it by %d letters; choose a shorter --dir", h.dir, len(path)-longestSocket)
	}
	os.Remove(path) // left by a server that was killed; the directory's lock is ours
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// control does orders until ctx ends.
func (h *house) control(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("control socket: %w", err)
		}
		wg.Go(func() { h.obey(ctx, conn) })
	}
}

// obey does one command. Whoever hangs up stops it.
func (h *house) obey(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var o order
	if err := json.NewDecoder(io.LimitReader(conn, 1<<20)).Decode(&o); err != nil {
		return
	}
	conn.SetReadDeadline(time.Time{})
	go func() {
		conn.Read(make([]byte, 1)) // nothing more is said: returns when the caller hangs up
		cancel()
	}()
	a := &answer{conn: conn, json: json.NewEncoder(conn)}
	c := &call{args: o.Args, in: newOnce(o.Input), out: a.stream(false), err: a.stream(true), terminal: o.Terminal, flags: newFlags(o.Command)}
	work, ok := inHouse()[o.Command]
	err := usage("the served house does not know %q; it may be of another version", o.Command)
	if ok {
		err = work(ctx, h, c)
	}
	code := exitCode(c, err)
	a.send(piece{Exit: &code})
}

type answer struct {
	mu   sync.Mutex
	conn net.Conn
	json *json.Encoder
}

func (a *answer) send(p piece) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	return a.json.Encode(p)
}

func (a *answer) stream(err bool) io.Writer { return answerStream{a, err} }

type answerStream struct {
	a   *answer
	err bool
}

func (s answerStream) Write(p []byte) (int, error) {
	part := piece{Out: p}
	if s.err {
		part = piece{Err: p}
	}
	if err := s.a.send(part); err != nil {
		return 0, err
	}
	return len(p), nil
}
