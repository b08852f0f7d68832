package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic/restictest"
)

// sealedFiles makes n small files, and large ones until all have so many bytes:
// random, as sealed ones are.
func sealedFiles(b *testing.B, dir string, n int, all int64) {
	b.Helper()
	random := make([]byte, 4<<20)
	put := func(i, size int) {
		rand.Read(random[:size])
		sub := filepath.Join(dir, fmt.Sprintf("%02X", i%256))
		if i < 256 {
			if err := os.MkdirAll(sub, 0o700); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(sub, string(id.New[id.Record]())), random[:size], 0o600); err != nil {
			b.Fatal(err)
		}
		all -= int64(size)
	}
	for i := range n {
		put(i, 4<<10+i%(28<<10)) // 4 to 32 KB, 18 on average
	}
	for i := 0; all > 0; i++ {
		put(i, int(min(all, 4<<20)))
	}
}

// plainRestic runs restic as somebody would by hand, and returns how long it took.
func plainRestic(b *testing.B, dir string, args ...string) time.Duration {
	b.Helper()
	c := exec.Command("restic", append([]string{"--no-cache", "--quiet"}, args...)...)
	c.Dir = dir
	c.Env = append(os.Environ(), "RESTIC_PASSWORD=plain")
	began := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("restic %v: %v: %s", args, err, out)
	}
	return time.Since(began)
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkBackupAgainstPlainRestic saves a house of 2 GB (QUIETROOM_BENCH_MB) in
// 33,000 small and some large files, and brings it back, in turns with plain
// restic on the same files. times_restic has to be 1.15 at most, size 1.05.
func BenchmarkBackupAgainstPlainRestic(b *testing.B) {
	restictest.Need(b)
	mb := 2000
	if n, err := strconv.Atoi(os.Getenv("QUIETROOM_BENCH_MB")); err == nil {
		mb = n
	}
	above := b.TempDir()
	dir := filepath.Join(above, "house")
	m := madeUp{Seed: 3, Patients: 10, Day: time.Now()}
	if _, err := makeDemo(b.Context(), dir, "http://localhost:8470", m, slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		b.Fatal(err)
	}
	sealedFiles(b, filepath.Join(dir, "blobs"), 33_000*mb/2000, int64(mb)*1e6)
	h, err := openHouse(b.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer h.close()
	var save, saveTimes, plain, back, backPlain, backTimes, sizes []float64
	for i := range 3 {
		ours, theirs := filepath.Join(above, fmt.Sprint("ours", i)), filepath.Join(above, fmt.Sprint("theirs", i))
		if _, _, err := h.backup.AddTarget(b.Context(), backup.Target{Kind: backup.Folder, Name: fmt.Sprint("One", i), Place: ours}); err != nil {
			b.Fatal(err)
		}
		plainRestic(b, dir, "init", "-r", theirs, "--repository-version", "2")
		began := time.Now()
		if _, err := h.backup.Run(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		a := time.Since(began)
		p := plainRestic(b, dir, "backup", "-r", theirs, "house.json", "ledger.key", "blobs", "saved")
		save, plain, saveTimes = append(save, a.Seconds()), append(plain, p.Seconds()), append(saveTimes, a.Seconds()/p.Seconds())
		sizes = append(sizes, float64(bytesIn(ours))/float64(bytesIn(theirs)))
		sheet, err := h.backup.Sheet(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		sheet.Targets = sheet.Targets[len(sheet.Targets)-1:]
		into := filepath.Join(above, "back")
		began = time.Now()
		r, err := bringBack(b.Context(), backup.Order{Sheet: sheet, Dir: into, Free: freeSpace}, "house.db")
		if err != nil || !r.Moved {
			b.Fatal(err)
		}
		a = time.Since(began)
		p = plainRestic(b, dir, "restore", "latest", "-r", theirs, "--target", filepath.Join(above, "plain"))
		back, backPlain, backTimes = append(back, a.Seconds()), append(backPlain, p.Seconds()), append(backTimes, a.Seconds()/p.Seconds())
		targets, err := h.backup.Targets(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range targets {
			if err := h.backup.RemoveTarget(b.Context(), t.ID); err != nil {
				b.Fatal(err)
			}
		}
		for _, d := range []string{into, filepath.Join(above, "plain"), ours, theirs} {
			os.RemoveAll(d)
		}
	}
	b.ReportMetric(median(save), "s/backup")
	b.ReportMetric(median(plain), "s/restic_backup")
	b.ReportMetric(median(saveTimes), "backup_times_restic")
	b.ReportMetric(median(back), "s/restore")
	b.ReportMetric(median(backPlain), "s/restic_restore")
	b.ReportMetric(median(backTimes), "restore_times_restic")
	b.ReportMetric(median(sizes), "size_times_restic")
	b.ReportMetric(0, "ns/op")
}

func bytesIn(dir string) (n int64) {
	for _, f := range filesIn(dir) {
		if info, err := os.Stat(f); err == nil {
			n += info.Size()
		}
	}
	return n
}

// BenchmarkHouseBackAndServing brings a house of 33,000 patients
// (QUIETROOM_BENCH_PATIENTS) and 1 GB of files back, opens it, and opens a chart
// in it with its person's code. The goal is 3 minutes. It also measures how long
// writers wait while it is saved: the goal is 100 ms.
func BenchmarkHouseBackAndServing(b *testing.B) {
	restictest.Need(b)
	patients, mb := 33_000, 1000
	if n, err := strconv.Atoi(os.Getenv("QUIETROOM_BENCH_PATIENTS")); err == nil {
		patients, mb = n, 1000*n/33_000
	}
	above := b.TempDir()
	dir := filepath.Join(above, "house")
	m := madeUp{Seed: 4, Patients: patients, Day: time.Now()}
	codes, err := makeDemo(b.Context(), dir, "http://localhost:8470", m, slog.New(slog.DiscardHandler), func(int, int) {})
	if err != nil {
		b.Fatal(err)
	}
	sealedFiles(b, filepath.Join(dir, "blobs"), 200, int64(mb)*1e6)
	h, err := openHouse(b.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer h.close()
	if _, _, err := h.backup.AddTarget(b.Context(), backup.Target{Kind: backup.Folder, Name: "USB", Place: filepath.Join(above, "usb")}); err != nil {
		b.Fatal(err)
	}
	alone := slowest(b, h, func() { time.Sleep(3 * time.Second) })
	var runErr error
	staged := slowest(b, h, func() { _, runErr = h.backup.Run(b.Context(), nil) })
	if runErr != nil {
		b.Fatal(runErr)
	}
	s, err := h.backup.Sheet(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	back := filepath.Join(above, "back")
	began := time.Now()
	r, err := bringBack(b.Context(), backup.Order{Sheet: s, Dir: back, Free: freeSpace}, "house.db")
	if err != nil || len(r.Findings) > 0 {
		b.Fatal(err, r.Findings)
	}
	came := time.Since(began)
	h2, err := openHouse(b.Context(), back, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer h2.close()
	code, err := seal.ParseCode(seal.Personal, codes["owner-1"].Text())
	if err != nil {
		b.Fatal(err)
	}
	ctx, done, err := h2.identity.Enter(b.Context(), code)
	if err != nil {
		b.Fatal(err)
	}
	defer done()
	opened := false
	for p, err := range h2.vault.Patients(ctx) {
		if err != nil {
			b.Fatal(err)
		}
		if h2.readsAll(ctx, p) == nil {
			opened = true
			break
		}
	}
	if !opened {
		b.Fatal("no chart opens in the house that came back")
	}
	b.ReportMetric(came.Seconds(), "s/back")
	b.ReportMetric(time.Since(began).Seconds(), "s/serving")
	b.ReportMetric(float64(r.Bytes)/1e6, "MB")
	b.ReportMetric(staged.p99.Seconds()*1000, "ms/write_p99_while_saving")
	b.ReportMetric(staged.most.Seconds()*1000, "ms/write_most_while_saving")
	b.ReportMetric(alone.p99.Seconds()*1000, "ms/write_p99_alone")
	b.ReportMetric(alone.most.Seconds()*1000, "ms/write_most_alone")
	b.ReportMetric(0, "ns/op")
}

type waits struct{ p99, most time.Duration }

// slowest writes facts one after another while something goes on, and says how
// long they took.
func slowest(b *testing.B, h *house, during func()) waits {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var took []time.Duration
	ended := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			began := time.Now()
			err := h.db.Update(b.Context(), func(tx *store.Tx) error {
				return ledger.Append(b.Context(), tx, ledger.Fact{At: h.now(), Kind: "backup.clock-jumped"})
			})
			if err != nil {
				ended <- err
				return
			}
			took = append(took, time.Since(began))
			time.Sleep(time.Millisecond)
		}
		ended <- nil
	}()
	during()
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	return waits{took[len(took)*99/100], took[len(took)-1]}
}
