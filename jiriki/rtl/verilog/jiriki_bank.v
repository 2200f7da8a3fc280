// One bank of the scratchpad: COLUMNS memories side by side, each with one read and one write port.
// A read beside a write of the same row gives the old word. A foundry's memory macros go here.
module jiriki_bank #(
  parameter COLUMNS = 16,
  parameter ROWS = 256,
  parameter ROW_BITS = 8,
  parameter WORD_BYTES = 4
) (
  input  wire                            clk,
  input  wire [COLUMNS-1:0]              read_en,
  input  wire [COLUMNS*ROW_BITS-1:0]     read_rows,
  output wire [COLUMNS*WORD_BYTES*8-1:0] read_words,
  input  wire [COLUMNS*WORD_BYTES-1:0]   write_bytes,
  input  wire [COLUMNS*ROW_BITS-1:0]     write_rows,
  input  wire [COLUMNS*WORD_BYTES*8-1:0] write_words
);
  localparam BITS = 8 * WORD_BYTES;
  genvar c;
  generate
    for (c = 0; c < COLUMNS; c = c + 1) begin : column
      reg [BITS-1:0] cells [0:ROWS-1];
      reg [BITS-1:0] word;
      integer i;
      always @(posedge clk) begin
        if (read_en[c])
          word <= cells[read_rows[c*ROW_BITS +: ROW_BITS]];
        if (|write_bytes[c*WORD_BYTES +: WORD_BYTES])
          for (i = 0; i < WORD_BYTES; i = i + 1)
            if (write_bytes[c*WORD_BYTES + i])
              cells[write_rows[c*ROW_BITS +: ROW_BITS]][8*i +: 8] <=
                write_words[c*BITS + 8*i +: 8];
      end
      assign read_words[c*BITS +: BITS] = word;
    end
  endgenerate
endmodule
