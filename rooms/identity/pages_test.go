package identity

import (
	"embed"
	"io/fs"
)

//go:embed testdata/pages
var testPages embed.FS

var stubPages = func() fs.FS {
	sub, err := fs.Sub(testPages, "testdata/pages")
	if err != nil {
		panic(err)
	}
	return sub
}()
