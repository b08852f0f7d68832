package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"quietroom/ground/id"
	"quietroom/rooms/backup"
)

// TestAComputersFoldersComeBackWithTheHouse: what an agent sealed on its device
// goes to the same places, and is there again after the house was lost.
func TestAComputersFoldersComeBackWithTheHouse(t *testing.T) {
	h, s := backedUp(t, backup.Target{Kind: backup.Folder, Name: "USB", Place: filepath.Join(t.TempDir(), "usb")})
	person, device := id.New[id.Person](), id.New[id.Device]()
	f, err := h.backup.Folders(person, device)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := string(id.New[id.Record]())
	if err := f.Put(t.Context(), name, strings.NewReader("sealed on the device")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.backup.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	at, places, err := h.backup.FoldersSaved(t.Context())
	if err != nil || places != 1 || at.IsZero() {
		t.Fatalf("saved at %v, %d places: %v", at, places, err)
	}
	if _, err := h.backup.Run(t.Context(), nil); err != nil { // nothing changed: nothing is saved again
		t.Fatal(err)
	}
	if again, _, _ := h.backup.FoldersSaved(t.Context()); !again.Equal(at) {
		t.Error("folders that did not change were saved again")
	}
	if err := h.backup.DropFolders(person, device); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "back")
	r, err := bringBack(t.Context(), backup.Order{Sheet: s, Dir: dir, Free: freeSpace}, "house.db")
	if err != nil || r.Folders != 1 {
		t.Fatalf("%d files of folders came back: %v", r.Folders, err)
	}
	back := backup.New(backup.Config{Dir: dir})
	f, err = back.Folders(person, device)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if text, err := io.ReadAll(got); err != nil || string(text) != "sealed on the device" {
		t.Fatalf("%q, %v", text, err)
	}
	if _, err := back.Folders("../../etc", device); err == nil {
		t.Error("a person with a path for a name")
	}
}
