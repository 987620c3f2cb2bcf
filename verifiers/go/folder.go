package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// A log's public folder (c2sp.org/tlog-tiles): every entry, every tile, up to the signed root.

const tileHeight = 8

// A folder is a log that was read from end to end and found to be what its checkpoint says.
type folder struct {
	path string
	head *trusted
}

func openFolder(path string, p *policy) (*folder, error) {
	data, err := os.ReadFile(filepath.Join(path, "checkpoint"))
	if err != nil {
		return nil, malformed("%v", err)
	}
	head, err := p.check(data)
	if err != nil {
		return nil, fmt.Errorf("%s/checkpoint: %w", path, err)
	}
	f := &folder{path, head}
	return f, f.rebuild()
}

// tilePath is C2SP's, where level -1 holds the entries; sumdb's own has the height before it.
func tilePath(level int, n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < 1<<tileHeight {
		path += fmt.Sprintf(".p/%d", width)
	}
	if level < 0 {
		return "tile/entries/" + path
	}
	return fmt.Sprintf("tile/%d/%s", level, path)
}

// read returns a tile; where a partial one is gone, the beginning of the full one.
func (f *folder) read(level int, n int64, width int) ([]byte, string, error) {
	name, holds := tilePath(level, n, width), width
	data, err := os.ReadFile(filepath.Join(f.path, filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) && width < 1<<tileHeight {
		name, holds = tilePath(level, n, 1<<tileHeight), 1<<tileHeight
		data, err = os.ReadFile(filepath.Join(f.path, filepath.FromSlash(name)))
	}
	if err != nil {
		return nil, name, untrue("%s is missing", tilePath(level, n, width))
	}
	if level >= 0 {
		if len(data) != holds*tlog.HashSize {
			return nil, name, untrue("%s does not hold %d hashes", name, holds)
		}
		data = data[:width*tlog.HashSize]
	}
	return data, name, nil
}

// rebuild recomputes every tile, and the root, from the entries alone.
func (f *folder) rebuild() error {
	size := f.head.size
	levels := [][]tlog.Hash{{}} // what each level's last tile holds so far
	filled := []int64{0}        // how many tiles of each level are full
	var push func(level int, hash tlog.Hash) error
	push = func(level int, hash tlog.Hash) error {
		if level == len(levels) {
			levels, filled = append(levels, nil), append(filled, 0)
		}
		levels[level] = append(levels[level], hash)
		if len(levels[level]) < 1<<tileHeight {
			return nil
		}
		if err := f.same(level, filled[level], levels[level]); err != nil {
			return err
		}
		above := subtree(levels[level])
		levels[level] = levels[level][:0]
		filled[level]++
		return push(level+1, above)
	}
	for first := int64(0); first < size; first += 1 << tileHeight {
		entries, err := f.entries(first, min(size-first, 1<<tileHeight))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := push(0, tlog.RecordHash(entry)); err != nil {
				return err
			}
		}
	}
	// What is left of each level, from the right: subtrees of falling size.
	var right []tlog.Hash
	for level, hashes := range levels {
		if len(hashes) == 0 {
			continue
		}
		if err := f.same(level, filled[level], hashes); err != nil {
			return err
		}
		right = fold(hashes, right)
	}
	root := emptyRoot
	if len(right) == 1 {
		root = right[0]
	}
	if root != f.head.root {
		return untrue("the entries do not lead to the signed root")
	}
	return nil
}

// fold hashes a partial tile's hashes, with what stands right of them, into one.
func fold(hashes, right []tlog.Hash) []tlog.Hash {
	for at := len(hashes); at > 0; {
		width := at & -at // the largest full subtree that ends here
		whole := subtree(hashes[at-width : at])
		if len(right) == 1 {
			whole = tlog.NodeHash(whole, right[0])
		}
		right = []tlog.Hash{whole}
		at -= width
	}
	return right
}

// subtree is the root over a number of hashes that is a power of two.
func subtree(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(subtree(hashes[:half]), subtree(hashes[half:]))
}

func (f *folder) same(level int, n int64, hashes []tlog.Hash) error {
	data, name, err := f.read(level, n, len(hashes))
	if err != nil {
		return err
	}
	for i, hash := range hashes {
		if !bytes.Equal(data[i*tlog.HashSize:(i+1)*tlog.HashSize], hash[:]) {
			return untrue("%s: hash %d is not that of the entries", name, i)
		}
	}
	return nil
}

func (f *folder) entries(first, width int64) ([][]byte, error) {
	data, name, err := f.read(-1, first>>tileHeight, int(width))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for int64(len(entries)) < width {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, untrue("%s is cut short", name)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if whole := tilePath(-1, first>>tileHeight, int(width)); name == whole && len(data) > 0 {
		return nil, untrue("%s holds more than %d entries", name, width)
	}
	return entries, nil
}

// Height and ReadTiles let sumdb/tlog read the folder: an independent path to the same hashes.
func (f *folder) Height() int { return tileHeight }

func (f *folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, _, err := f.read(tile.L, tile.N, tile.W)
		if err != nil {
			return nil, err
		}
		read[i] = data
	}
	return read, nil
}

func (f *folder) SaveTiles([]tlog.Tile, [][]byte) {}

// holds says that the checkpoints of an answer are what the folder's first entries add up to.
func (f *folder) holds(found answer) error {
	points := found.earlier
	if found.at != nil {
		points = append(points[:len(points):len(points)], found.at)
	}
	head := tlog.Tree{N: f.head.size, Hash: f.head.root}
	for _, point := range points {
		if point.origin != f.head.origin {
			return untrue("the evidence is from %s, the folder is %s", point.origin, f.head.origin)
		}
		if point.size > f.head.size {
			return untrue("the evidence is from size %d, the folder ends at %d", point.size, f.head.size)
		}
		if point.size == 0 {
			continue
		}
		root, err := tlog.TreeHash(point.size, tlog.TileHashReader(head, f))
		if err != nil || root != point.root {
			return untrue("the folder had another root at size %d", point.size)
		}
	}
	return nil
}
