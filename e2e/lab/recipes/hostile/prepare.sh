# needs: python3
# Writes root/ and the Dockerfile: texts that would do harm if a page, a spreadsheet
# or a terminal took them for more than texts, wherever an image can hold any.
python3 hostile.py
