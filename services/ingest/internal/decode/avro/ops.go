package avro

import "github.com/waybill-data/waybill/services/ingest/internal/decode"

// opcode is what one instruction does. Reading means from the Avro payload, writing means to the row.
type opcode uint8

const (
	opEnd opcode = iota
	// opFail refuses a value that cannot become a column: arg indexes the program's reasons.
	opFail

	// Values: tag and value are written.
	opBoolean
	opInt
	opLong
	opFloat
	opDouble
	opFloatToDouble
	opIntToFloat
	opIntToDouble
	opString
	opBytes
	opFixed // arg: bytes
	opUUID
	opEnum    // arg: index of the enum
	opDecimal // arg: index of the decimal
	opBigDecimal
	opDuration
	opVariable // a decimal with its scale before it; arg: index of the cell
	opGeometry // a shape as WKB in a record; arg: index of the geometry
	opNumber   // a whole number that becomes another value; arg: index of the cell, jump: 1 for one of 32 bits
	// What the contract asks for in place of the type map.
	opText  // a text; arg: index of the cell
	opJSON  // a value with parts, as JSON; arg: index of what is skipped
	opRange // ends the message of a RANGE and reads nothing; arg: index of the bounds
	// opConst writes fixed bytes, tag included, and reads nothing: the default of a field that the file's schema lacks.
	opConst

	// Structure.
	opMessage    // starts a nested message: writes its tag and reserves its length
	opMessageEnd // arg: the opMessage; fixes the length
	opArray      // starts an array or a map; jump: past its opNext
	opNext       // jump: first instruction of the item
	opOptional   // reads the index of a two-branch union; arg: index of null; jump: past the value
	opOneBranch  // reads the index of a one-branch union
	opUnion      // reads the index of any other union; arg: index of its jump table
	opJump

	// Skipping: read, nothing written.
	opSkip // arg: index of what is skipped

	// Taking a copy of the next value for the envelope, without moving on.
	opTakeID   // jump: the kind of the value; arg: index of the enum
	opTakeTime // arg: index of the cell, jump: 1 where the column counts dates that are far away
)

// op is one instruction.
type op struct {
	code opcode
	// tagLen and tag are the field's tag as it stands on the wire, little-endian; nested fields have at most four
	// bytes.
	tagLen uint8
	tag    uint32
	arg    int32
	jump   int32
}

// program is a compiled schema: a flat list of instructions over the payload, with no recursion and no look-up by name.
// It is immutable.
type program struct {
	ops []op
	// paths holds for each instruction the field it is about. Read on errors only.
	paths []*decode.Path
	// messages and arrays are how deep each nest.
	messages, arrays int

	enums      []symbols
	unions     [][]int32
	decimals   []decimalType
	consts     [][]byte
	skipped    []*skipped
	geometries []geometry
	reasons    []string
	cells      []*decode.Cell
	ranges     []decode.RangeBounds
}

// bytes is about what the program takes in memory.
func (p *program) bytes() int {
	const each = 96 // an instruction, and its path
	size := each * len(p.ops)
	for i := range p.enums {
		size += 32 * len(p.enums[i].names)
	}
	met := map[*skipped]bool{}
	for _, s := range p.skipped {
		size += s.bytes(met)
	}
	return size
}

// symbols are those of a writer's enum, with a bit for each that the contract knows. Another one becomes the fallback;
// without any it is refused.
type symbols struct {
	names    []string
	known    []uint64
	fallback string
}

// decimalType bounds a decimal: every value has at most this many digits, of which scale are behind the point. size is
// that of a fixed, -1 for bytes. cell is what the contract asks for, nil if nothing.
type decimalType struct {
	precision, scale, size int
	cell                   *decode.Cell
}
