package restic_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/rooms/backup/restic"
	"quietroom/rooms/backup/restic/restictest"
)

// repository checks what every place promises.
func repository(t *testing.T, repo restic.Repo, mayDelete bool) {
	ctx := t.Context()
	r := restic.Restic{Dir: t.TempDir()}
	if err := r.Open(ctx, repo); !errors.Is(err, restic.ErrNone) {
		t.Fatalf("before it is made: got %v, want ErrNone", err)
	}
	if err := r.Init(ctx, repo); err != nil {
		t.Fatal(err)
	}
	if err := r.Open(ctx, repo); err != nil {
		t.Fatal(err)
	}
	wrong := repo
	wrong.Password = "another"
	if err := r.Open(ctx, wrong); !errors.Is(err, restic.ErrPassword) {
		t.Fatalf("another password: got %v, want ErrPassword", err)
	}
	src := t.TempDir()
	big := make([]byte, 3<<20)
	rand.Read(big)
	os.Mkdir(filepath.Join(src, "blobs"), 0o700)
	os.WriteFile(filepath.Join(src, "blobs", "A"), big, 0o600)
	os.WriteFile(filepath.Join(src, "house.json"), []byte("{}"), 0o600)
	saved, err := r.Save(ctx, repo, src, []string{"blobs", "house.json"}, []string{"half"}, []string{"pair-A", "facts-12"}, nil)
	if err != nil || saved.Files != 2 || saved.Added < 3<<20 {
		t.Fatalf("%+v, %v", saved, err)
	}
	if _, err := r.Save(ctx, repo, src, []string{"house.json", "nothing"}, nil, nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a file that is not there: got %v, want fs.ErrNotExist", err)
	}
	streamed, err := r.SaveStream(ctx, repo, "probe", strings.NewReader("hello"), []string{"probe"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Snapshots(ctx, repo)
	if err != nil || len(list) != 2 || strings.Join(list[0].Tags, " ") != "pair-A facts-12" {
		t.Fatalf("%v, %v", list, err)
	}
	var out bytes.Buffer
	if err := r.Dump(ctx, repo, streamed.Snapshot, "probe", &out); err != nil || out.String() != "hello" {
		t.Fatalf("%q, %v", out.String(), err)
	}
	if err := r.Dump(ctx, repo, streamed.Snapshot, "another", &out); !errors.Is(err, restic.ErrDamaged) {
		t.Fatalf("a file that is not in it: %v", err)
	}
	into := filepath.Join(t.TempDir(), "back")
	if err := r.Restore(ctx, repo, list[0].ID, into); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(into, "blobs", "A")); !bytes.Equal(got, big) {
		t.Fatal("what came back is not what was saved")
	}
	err = r.Forget(ctx, repo, streamed.Snapshot)
	if mayDelete {
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Prune(ctx, repo, true); err != nil {
			t.Fatal(err)
		}
	}
	list, lerr := r.Snapshots(ctx, repo)
	if want := map[bool]int{true: 1, false: 2}[mayDelete]; lerr != nil || len(list) != want {
		t.Fatalf("after forgetting one (%v): %d snapshots, want %d: %v", err, len(list), want, lerr)
	}
	if !mayDelete && !errors.Is(err, restic.ErrRefused) {
		t.Fatalf("an append-only place: got %v, want ErrRefused", err)
	}
}

func TestAFolder(t *testing.T) {
	restictest.Need(t)
	repository(t, restictest.Folder(t), true)
}

func TestAnSFTPServer(t *testing.T) {
	s := restictest.NewSFTP(t)
	repository(t, s.Repo(), true)
	s.Stop()
	if err := (restic.Restic{}).Open(t.Context(), s.Repo()); !errors.Is(err, restic.ErrUnreachable) {
		t.Fatalf("a server that is gone: got %v, want ErrUnreachable", err)
	}
}

func TestAnS3Service(t *testing.T) {
	restictest.Need(t)
	address, stop := restictest.NewS3(t)
	repository(t, restictest.S3Repo(address), true)
	stop()
	if err := (restic.Restic{Reach: 5 * time.Second}).Open(t.Context(), restictest.S3Repo(address)); !errors.Is(err, restic.ErrUnreachable) {
		t.Fatalf("a service that is gone: got %v, want ErrUnreachable", err)
	}
}

func TestARESTPeer(t *testing.T) {
	restictest.Need(t)
	p := restictest.NewREST(t, false)
	repository(t, p.Repo(), true)
	p.Stop()
	if err := (restic.Restic{Reach: 5 * time.Second}).Open(t.Context(), p.Repo()); !errors.Is(err, restic.ErrUnreachable) {
		t.Fatalf("a peer that is gone: got %v, want ErrUnreachable", err)
	}
}

func TestAnAppendOnlyRESTPeer(t *testing.T) {
	restictest.Need(t)
	repository(t, restictest.NewREST(t, true).Repo(), false)
}

func TestAFullPlaceIsSaidToBeFull(t *testing.T) {
	restictest.Need(t)
	p := restictest.NewREST(t, false)
	r := restic.Restic{}
	if err := r.Init(t.Context(), p.Repo()); err != nil {
		t.Fatal(err)
	}
	p.Most = 1 << 20
	src := t.TempDir()
	big := make([]byte, 40<<20)
	rand.Read(big)
	os.WriteFile(filepath.Join(src, "big"), big, 0o600)
	r.Give = 2 * time.Second
	if _, err := r.Save(t.Context(), p.Repo(), src, []string{"big"}, nil, nil, nil); !errors.Is(err, restic.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
}

func TestWithoutResticTheFixIsSaid(t *testing.T) {
	r := restic.Restic{Program: "no-such-restic"}
	if _, err := r.Version(t.Context()); !errors.Is(err, restic.ErrMissing) || !strings.Contains(err.Error(), "apt-get install restic") {
		t.Fatal(err)
	}
	if err := r.Init(t.Context(), restic.Repo{}); !errors.Is(err, restic.ErrMissing) {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "restic")
	os.WriteFile(old, []byte("#!/bin/sh\necho restic 0.12.1 compiled with go\n"), 0o700)
	if said, err := (restic.Restic{Program: old}).Version(t.Context()); said != "0.12.1" || !errors.Is(err, restic.ErrOld) {
		t.Fatalf("%s, %v", said, err)
	}
}

func TestThePasswordStandsInNoArgumentAndNoEnvironment(t *testing.T) {
	if testing.Short() {
		t.Skip("a program is run")
	}
	spy := filepath.Join(t.TempDir(), "restic")
	seen := filepath.Join(t.TempDir(), "seen")
	os.WriteFile(spy, []byte("#!/bin/sh\n{ echo \"$@\"; env; } > "+seen+"\ncat /dev/fd/3 > "+seen+".password\n"), 0o700)
	repo := restic.Repo{URL: "rest:https://me:url-secret@host/x", Password: "the-password"}
	if err := (restic.Restic{Program: spy}).Open(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	args, _ := os.ReadFile(seen)
	line, env, _ := strings.Cut(string(args), "\n")
	if strings.Contains(string(args), "the-password") || strings.Contains(line, "url-secret") || !strings.Contains(env, "RESTIC_REPOSITORY=") {
		t.Fatalf("the program got %s", args)
	}
	if p, _ := os.ReadFile(seen + ".password"); string(p) != "the-password\n" {
		t.Fatalf("got the password %q", p)
	}
}
