// A table of the vector unit: one write port, READERS read ports, each of which looks on its own for
// one of the PARTS of a row (parts beside each other, the lower bits of its address). In silicon it
// stands there once a reader; a foundry's memory macros go here.
module jiriki_table #(
  parameter ROWS = 256,
  parameter ROW_BITS = 8,
  parameter BITS = 32,
  parameter READERS = 4,
  parameter PARTS = 1,
  parameter PART_BITS = 0
) (
  input  wire                                    clk,
  input  wire                                    read_en,
  input  wire [READERS*(ROW_BITS+PART_BITS)-1:0] read_rows,
  output wire [READERS*(BITS/PARTS)-1:0]         read_words,
  input  wire                                    write_en,
  input  wire [ROW_BITS-1:0]                     write_row,
  input  wire [BITS-1:0]                         write_word
);
  localparam ADDRESS = ROW_BITS + PART_BITS;
  localparam PART = BITS / PARTS;
  reg [BITS-1:0] cells [0:ROWS-1];
  always @(posedge clk)
    if (write_en)
      cells[write_row] <= write_word;
  genvar r;
  generate
    for (r = 0; r < READERS; r = r + 1) begin : reader
      wire [ADDRESS-1:0] address = read_rows[r*ADDRESS +: ADDRESS];
      reg [BITS-1:0] word;
      reg [ADDRESS-1:0] which;
      always @(posedge clk)
        if (read_en) begin
          word <= cells[address[ADDRESS-1 -: ROW_BITS]];
          which <= address;
        end
      if (PARTS == 1) begin : whole
        assign read_words[r*PART +: PART] = word;
      end else begin : part
        assign read_words[r*PART +: PART] = word[which[PART_BITS-1:0]*PART +: PART];
      end
    end
  endgenerate
endmodule
