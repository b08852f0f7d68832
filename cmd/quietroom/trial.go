package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"quietroom/ground/seal"
	"quietroom/layer"
)

// trial is a made-up house that a drill may attack: served on loopback, and
// removed afterwards.
type trial struct {
	*house
	layer.Trial
	above string // the temporary directory with house and copies
	stop  context.CancelFunc
	ended chan struct{}
}

// newTrial makes and serves a made-up house of some patients.
func newTrial(ctx context.Context, patients int) (_ *trial, err error) {
	above, err := os.MkdirTemp("", "quietroom-trial-")
	if err != nil {
		return nil, err
	}
	t := &trial{above: above, ended: make(chan struct{})}
	defer func() {
		if err != nil {
			os.RemoveAll(above)
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	origin := fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	dir := filepath.Join(above, "house")
	m := madeUp{Seed: uint64(time.Now().UnixNano()), Patients: patients, Day: time.Now()}
	codes, err := makeDemo(ctx, dir, origin, m, slog.New(slog.DiscardHandler), func(int, int) {})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := t.stand(ctx, l, dir, origin); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	for handle, code := range codes {
		t.Codes[handle] = code.Text()
	}
	return t, nil
}

// newEmptyTrial serves a house in which nobody is yet: a real one, whose codes are
// used up and whose first patients are counted. Its database is a file, or the
// address of one.
func newEmptyTrial(ctx context.Context, database string) (_ *trial, err error) {
	above, err := os.MkdirTemp("", "quietroom-trial-")
	if err != nil {
		return nil, err
	}
	t := &trial{above: above, ended: make(chan struct{})}
	defer func() {
		if err != nil {
			os.RemoveAll(above)
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	origin := fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	dir := filepath.Join(above, "house")
	if err := prepare(dir, database, "", origin); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := t.stand(ctx, l, dir, origin); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return t, nil
}

// stand opens the trial's house and serves it.
func (t *trial) stand(ctx context.Context, l net.Listener, dir, origin string) error {
	log, err := os.OpenFile(filepath.Join(dir, "quietroom.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if t.house, err = openHouse(ctx, dir, slog.New(slog.NewJSONHandler(log, nil))); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = stop
	srv := &http.Server{Handler: t.mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(t.ended)
		defer log.Close()
		t.run(running)
	}()
	go srv.Serve(l)
	context.AfterFunc(running, func() { srv.Close() })
	t.Trial = layer.Trial{Dir: dir, URL: origin, Codes: map[string]string{}, DB: t.house.db, Unlock: t.enter, Take: t.take,
		Later: func(d time.Duration) { t.house.late.Add(int64(d)) }}
	return nil
}

// close ends and removes the trial house.
func (t *trial) close() error {
	t.stop()
	<-t.ended
	return errors.Join(t.house.close(), os.RemoveAll(t.above))
}

func (t *trial) enter(ctx context.Context, code string) (context.Context, func(), error) {
	c, err := seal.ParseCode(seal.Personal, code)
	if err != nil {
		return nil, nil, err
	}
	return t.identity.Enter(ctx, c)
}

// take copies everything a thief would take of the trial house.
func (t *trial) take(ctx context.Context) (string, error) {
	to, err := os.MkdirTemp(t.above, "taken-")
	if err != nil {
		return "", err
	}
	return to, takeHouse(ctx, t.dir, to)
}
