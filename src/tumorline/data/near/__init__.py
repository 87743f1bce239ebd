"""Near duplicates: the same image turned, resized, cropped or saved anew, among pictures, slices and volumes."""
